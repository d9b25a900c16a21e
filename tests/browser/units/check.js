/** The least that a test needs to say. */

/**
 * @param {unknown} got
 * @param {unknown} wanted
 */
export function same(got, wanted) {
  const [one, other] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (one !== other) throw new Error(`got ${one}, wanted ${other}`);
}

/**
 * @template T
 * @param {T} value
 * @returns {T} The value, which nobody can change any more.
 */
export function frozen(value) {
  if (value && typeof value === 'object') Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

/** @param {Record<string, () => unknown>} tests */
export async function run(tests) {
  const failures = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return { passed: Object.keys(tests).length - failures.length, failures };
}
