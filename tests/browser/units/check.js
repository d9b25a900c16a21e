/** The least that a test needs to say. */

let patience = 1;

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

/**
 * @template T
 * @param {() => T} condition
 * @returns {Promise<T>} What it found, as soon as that is something.
 */
export async function until(condition) {
  const began = performance.now();
  for (;;) {
    const found = condition();
    if (found) return found;
    if (performance.now() - began > 10_000 * patience) throw new Error(`never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Lets everything that waits for nothing but its turn have it. */
export const settled = () => new Promise((resolve) => void setTimeout(resolve));

/**
 * Keeps what is set for so many milliseconds later, until it is said to be due.
 * @param {number} ms
 */
export function postponed(ms) {
  const { setTimeout: real } = globalThis;
  const calls = [];
  globalThis.setTimeout = (call, after) => (after === ms ? calls.push(call) && 0 : real(call, after));
  return {
    calls,
    /** Time goes its way again. */
    due() {
      globalThis.setTimeout = real;
      calls.splice(0).forEach((call) => call());
    },
  };
}

/**
 * @param {Record<string, () => unknown>} tests
 * @param {number} factor By which every wait is stretched.
 */
export async function run(tests, factor) {
  patience = factor;
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
