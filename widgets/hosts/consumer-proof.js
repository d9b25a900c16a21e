import { post } from './gateway.js';
import { KeptToken } from './kept-token.js';

/**
 * A consumer's right to be rung. A link that the agent sent carries a code in its fragment, which
 * works once: what it was exchanged for is kept for this tab.
 */
export class ConsumerProof {
  #kept;

  /** @param {string} key Account and conversation. */
  constructor(key) {
    this.#kept = new KeptToken(`proof.${key}`);
  }

  /** @param {EngagementIds} engagement @returns {Promise<string>} */
  async token(engagement) {
    const code = location.hash.slice(1);
    if (!code) {
      return this.#kept.get() || String((await post('/v1/waiting', { engagement })).token);
    }
    const answer = await post('/v1/waiting', { engagement, code });
    history.replaceState(null, '', location.pathname + location.search);
    return this.#kept.keep(answer);
  }
}
