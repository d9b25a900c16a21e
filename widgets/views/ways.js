import { say } from '../catalogues/words.js';
import { attend, wordButton } from './buttons.js';
import { el } from './dom.js';

/** How a member of the staff could come into a live session: one button for each way. */
export class Ways {
  #client;
  #said;
  #shown = '';
  title = '';
  help = say('ways_help');
  root = el('div', { class: 'actions' });

  /** @param {SessionClient} client @param {HTMLElement} said Where it stands what was refused. */
  constructor(client, said) {
    this.#client = client;
    this.#said = said;
  }

  /**
   * @param {WidgetState} state @param {string} who The consumer of this conversation.
   * @param {string} agent Whose it is; may be empty.
   */
  update({ ways, askedBy: by, about }, who, agent) {
    const name = about || say('role_consumer');
    this.title = by
      ? say('colleague_asks', { by, name })
      : say('ways_title', { name: who, agent: agent || say('a_colleague') });
    const shown = [by, ...ways].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    // First what changes least for those who talk.
    const sorted = [...ways].sort((a, b) => Number(b === 'consult') - Number(a === 'consult'));
    const buttons = sorted.map((way, index) => {
      const kind = index ? 'wide' : 'primary wide';
      return this.#button(by ? 'join' : `way_${way}`, kind, { type: 'session.join', way });
    });
    if (by) buttons.push(this.#button('decline', 'wide', { type: 'colleague.decline' }));
    this.root.replaceChildren(...buttons);
  }

  /** @param {string} key @param {string} kind @param {ToBroker} message */
  #button(key, kind, message) {
    const { root } = wordButton(key, () => void attend(this.#client.ask(message), this.#said, root), kind);
    return root;
  }
}
