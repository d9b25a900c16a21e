/**
 * Wait for a host's SDK: its script may come late, or be blocked.
 * @template T @param {() => T|null|undefined} look Null ends the search. @param {number} patienceMs
 * @param {() => void} onLate It takes longer than that, and is looked for more seldom.
 * @returns {Promise<T|null>}
 */
export async function sdkWhenThere(look, patienceMs, onLate) {
  const until = performance.now() + patienceMs;
  let late = false;
  for (;;) {
    const sdk = look();
    if (sdk !== undefined) return sdk;
    if (!late && performance.now() > until) {
      late = true;
      onLate();
    }
    await new Promise((resolve) => setTimeout(resolve, late ? 1_000 : 50));
  }
}
