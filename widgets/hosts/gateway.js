/** What was asked was refused, or no answer can come any more. `code` is stable. */
export class Refusal extends Error {
  /**
   * @param {string} code An error code of the protocol, or `connection_lost`, `timeout`, `busy`.
   * @param {string} message @param {boolean} retryable
   */
  constructor(code, message, retryable) {
    super(message);
    this.code = code;
    this.retryable = retryable;
  }
}

/** So long an answer may take: a network that is gone says nothing. */
const PATIENCE_MS = 10_000;

/**
 * The few plain requests a widget makes of its gateway.
 * @param {string} path @param {Record<string, unknown>} body @returns {Promise<any>}
 */
export function post(path, body) {
  return answer(path, {
    method: 'POST',
    // A brand knows its agents by their cookies.
    credentials: 'include',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** @param {string} path @returns {Promise<any>} */
export function get(path) {
  return answer(path, {});
}

/** @param {string} path @param {RequestInit} options */
export async function answer(path, options) {
  let status = 0;
  /** @type {any} */
  let body = {};
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(path, { ...options, signal, cache: 'no-store', referrerPolicy: 'no-referrer' });
    status = response.status;
    body = JSON.parse((await response.text()) || '{}');
    if (response.ok) return body;
  } catch {
    // No answer, half of one, or the page of somebody in between.
    if (status < 400) throw new Refusal('connection_lost', 'The service cannot be reached.', true);
  }
  const retryable = body.retryable ?? (status >= 500 || status === 429);
  throw new Refusal(body.code ?? `http_${status}`, body.detail ?? '', retryable);
}
