import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el } from './dom.js';
import { field, form } from './fields.js';
import { keyed } from './keyed.js';
import { Panel } from './panel.js';

/** Written lines to everybody in the session; nothing of them is kept. */
export class TextPanel extends Panel {
  #list = el('ul', { class: 'texts', 'aria-live': 'polite' });
  #known = 0;
  /** How many lines of others came since this was last open. */
  unread = 0;

  /** @param {SessionClient} client @param {Attempt} attempt */
  constructor(client, attempt) {
    super(say('text'));
    const line = el('input', { type: 'text', maxlength: '1000', autocomplete: 'off' });
    const send = wordButton('send', null, 'primary small');
    const tell = () => {
      const text = line.value.trim();
      if (!text) return;
      line.value = '';
      attempt(client.ask({ type: 'text.send', text }).catch((error) => {
        line.value ||= text;
        throw error;
      }));
    };
    const write = form('row', tell, field(say('text_field'), line), send);
    this.body.append(el('p', { class: 'fine', text: say('text_help') }), this.#list, write);
  }

  /** @param {Session} session @returns {string[]} What no open panel shows. */
  update({ lines, participant_id }) {
    keyed(this.#list, lines, (line) => String(line.id), row, () => {});
    const news = lines.filter(({ id }) => id > this.#known);
    this.#known = lines.at(-1)?.id ?? 0;
    const others = news.filter(({ by }) => by !== participant_id);
    if (!this.open) {
      this.unread += others.length;
      return others.map(told);
    }
    if (news.length + this.unread > 0) this.#list.lastElementChild?.scrollIntoView({ block: 'nearest' });
    this.unread = 0;
    return [];
  }
}

/** @param {Line} line */
function told({ name, text }) {
  return say('colon', { a: name || say('somebody'), b: text });
}

/** @param {Line} line */
function row({ name, text }) {
  const who = el('b', { class: 'fine', text: name || say('somebody') });
  return { root: el('li', {}, who, el('span', { text, dir: 'auto' })) };
}
