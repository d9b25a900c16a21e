/**
 * How long to wait before the next attempt: the first at once, then doubling with full jitter,
 * so that the widgets of a lost gateway do not come back in one moment.
 * @param {number} attempt Attempts already made since the last success.
 * @param {number} random A number in [0, 1).
 * @param {number} [capMs] The longest wait.
 * @returns {number} Milliseconds.
 */
export function retryDelay(attempt, random, capMs = 15_000) {
  if (attempt === 0) return 0;
  const ceiling = Math.min(capMs, 400 * 2 ** Math.min(attempt - 1, 10));
  return Math.round(ceiling / 4 + (random * ceiling * 3) / 4);
}
