import { say } from '../catalogues/words.js';
import { el } from './dom.js';

/** How a member of the staff could come into a live session: one button for each way. */
export class Ways {
  #ask;
  #shown = '';
  title = '';
  help = say('ways_help');
  root = el('div', { class: 'actions' });

  /** @param {AskButton} ask */
  constructor(ask) {
    this.#ask = ask;
  }

  /**
   * @param {WidgetState} state @param {string} who The consumer of this conversation.
   * @param {string} agent Whose it is; may be empty.
   */
  update({ ways, askedBy: by, about }, who, agent) {
    const name = about || say('your_visitor');
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
      return this.#ask(by ? 'join' : `way_${way}`, kind, { type: 'session.join', way });
    });
    if (by) buttons.push(this.#ask('decline', 'wide', { type: 'colleague.decline' }));
    this.root.replaceChildren(...buttons);
  }
}
