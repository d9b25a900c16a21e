import { Refusal } from '../channel/refusal.js';

/** The operators' API by one token, which is kept in memory only. */
export class OperatorApi {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /** @param {string} path Below `/v1/operator/`. @param {Record<string, unknown>} [body] Posted. */
  async ask(path, body) {
    const response = await this.#send(path, body);
    const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const words = answer.detail || `The gateway answered ${response.status}.`;
    throw new Refusal(response.status === 401 ? 'token' : `http_${response.status}`, words, true);
  }

  /** @param {string} path @param {Record<string, unknown>} [body] */
  async #send(path, body) {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    /** @type {RequestInit} */
    const posted = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    try {
      return await fetch(`/v1/operator/${path}`, { headers, cache: 'no-store', ...posted });
    } catch {
      throw new Refusal('connection_lost', 'The gateway cannot be reached.', true);
    }
  }
}
