import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el, keyed } from './dom.js';
import { Panel } from './panel.js';

/** Writing to everybody in the session. */
export class TextPanel extends Panel {
  #list = el('ul', { class: 'texts', 'aria-live': 'polite' });
  /** @type {Map<string, {root: HTMLElement}>} */
  #rows = new Map();
  #known = 0;
  /** How many lines of others came since this was last open. */
  unread = 0;

  /** @param {SessionClient} client @param {Attempt} attempt */
  constructor(client, attempt) {
    super(say('text'));
    const field = el('input', { type: 'text', maxlength: '1000', autocomplete: 'off' });
    const label = el('label', { class: 'field' }, el('span', { text: say('text_field') }), field);
    const send = wordButton(say('send'), () => {}, { kind: 'primary small' });
    send.root.type = 'submit';
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (!text) return;
      field.value = '';
      attempt(client.ask({ type: 'text.send', text }).catch((error) => {
        field.value ||= text;
        throw error;
      }));
    };
    this.body.append(
      el('p', { class: 'fine', text: say('text_help') }),
      this.#list,
      el('form', { class: 'row', on: { submit } }, label, send.root),
    );
  }

  /** @param {SessionState} session @returns {string[]} What no open panel shows. */
  update({ lines, participantId }) {
    keyed(this.#list, this.#rows, lines, (line) => String(line.id), row, () => {});
    const news = lines.filter(({ id }) => id > this.#known);
    this.#known = lines.at(-1)?.id ?? 0;
    const others = news.filter(({ by }) => by !== participantId);
    if (!this.open) {
      this.unread += others.length;
      return others.map(told);
    }
    if (news.length + this.unread > 0) this.#list.lastElementChild?.scrollIntoView({ block: 'nearest' });
    this.unread = 0;
    return [];
  }
}

/** Each in the direction of its own writing, whatever the page's. @param {Line} line */
function told({ name, text }) {
  return say('colon', { a: `\u2068${name || say('somebody')}\u2069`, b: `\u2068${text}\u2069` });
}

/** @param {Line} line */
function row({ name, text }) {
  const who = el('b', { class: 'fine', text: name || say('somebody') });
  return { root: el('li', {}, who, el('span', { text, dir: 'auto' })) };
}
