import { say } from '../catalogues/words.js';
import { makeLink, offerLink } from '../hosts/join-link.js';
import { wordButton } from './buttons.js';

/** A way in for a consumer whom no surface reaches: a join link in the conversation. */
export class JoinOffer {
  root;

  /**
   * @param {SessionClient} client @param {AgentHost} host @param {Attempt} attempt
   * @param {() => string} nameOf The consumer's name; may be empty.
   */
  constructor(client, host, attempt, nameOf) {
    const offer = async () => {
      const url = await makeLink(client, nameOf());
      if (await offerLink(host, say('offer_text'), url)) button.set(say('offer_done'));
    };
    const button = wordButton(say('offer_link'), () => attempt(offer()), { icon: 'link' });
    this.root = button.root;
  }
}
