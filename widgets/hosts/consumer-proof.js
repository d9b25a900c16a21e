import { post } from './gateway.js';
import { KeptToken } from './kept-token.js';

/**
 * A consumer's right to be rung. A link that the agent sent carries a code in its fragment, which
 * works once, for who said it first: what it was exchanged for is kept for this tab.
 */
export class ConsumerProof {
  #kept;
  #claim;

  /** @param {string} key Account and conversation. @param {string} claim The consumer's secret. */
  constructor(key, claim) {
    this.#claim = claim;
    this.#kept = new KeptToken(`proof.${key}`);
  }

  /** @param {EngagementIds} engagement @returns {Promise<string>} */
  async token(engagement) {
    const code = location.hash.slice(1);
    if (!code) {
      return this.#kept.get() || String((await post('/v1/waiting', { engagement })).token);
    }
    const answer = await post('/v1/waiting', { engagement, code, claim_secret: this.#claim });
    history.replaceState(null, '', location.pathname + location.search);
    return this.#kept.keep(answer);
  }
}
