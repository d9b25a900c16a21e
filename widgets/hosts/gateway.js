import { Refusal } from '../channel/refusal.js';

/**
 * The few plain requests a widget makes of its gateway.
 * @param {string} path @param {Record<string, unknown>} body @returns {Promise<any>}
 */
export async function post(path, body) {
  return answerOf(
    await reach(path, {
      method: 'POST',
      // A brand knows its agents by their cookies.
      credentials: 'include',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  );
}

/** @param {string} path @returns {Promise<any>} */
export async function get(path) {
  return answerOf(await reach(path, {}));
}

/** @param {string} path @param {RequestInit} options */
async function reach(path, options) {
  try {
    return await fetch(path, { ...options, cache: 'no-store', referrerPolicy: 'no-referrer' });
  } catch {
    throw new Refusal('connection_lost', 'The service cannot be reached.', true);
  }
}

/** @param {Response} response */
async function answerOf(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const retryable = body.retryable ?? (response.status >= 500 || response.status === 429);
  throw new Refusal(body.code ?? `http_${response.status}`, body.detail ?? '', retryable);
}
