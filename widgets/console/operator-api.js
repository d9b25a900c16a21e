import { Refusal } from '../hosts/gateway.js';
import { answer } from '../hosts/gateway.js';

/** The operators' API by one token, which is kept in memory only. */
export class OperatorApi {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /** @param {string} path Below `/v1/operator/`. @param {Record<string, unknown>} [body] Posted. */
  async ask(path, body) {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    /** @type {RequestInit} */
    const posted = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    try {
      return await answer(`/v1/operator/${path}`, { headers, ...posted });
    } catch (error) {
      const { code, message, retryable } = /** @type {Refusal} */ (error);
      throw new Refusal(code, message || `The gateway answered ${code.replace('http_', '')}.`, retryable);
    }
  }
}
