import { say } from '../catalogues/words.js';
import { clock } from '../session/select.js';
import { wordButton } from './buttons.js';
import { CopyLine } from './copy-line.js';
import { el, setText, show } from './dom.js';
import { field, form } from './fields.js';
import { keyed } from './keyed.js';

/** Brings in one more person by a link, which stands here once, and lists the links that are still open. */
export class GuestLinks {
  #list = el('ul', { class: 'people' });
  #title = el('h3', { text: say('open_links') });
  #row;
  /** The one that is shown. */
  #made = '';
  #open = false;
  #lapse;
  root;

  /** @param {SessionClient} client @param {Attempt} attempt @param {Write} write @param {HTMLElement} panel */
  constructor(client, attempt, write, panel) {
    const name = el('input', { type: 'text', maxlength: '80', autocomplete: 'off' });
    const url = new CopyLine(say('link_ready'));
    const said = el('p', { class: 'fine', role: 'status' });
    const putIn = async () => {
      if (await write?.(url.line.value)) put.set(say('written'));
      else setText(said, say('unwritten'));
    };
    const put = wordButton('into_conversation', () => void putIn(), 'small', 'send');
    show(put, write !== null);
    const made = el('div', { class: 'made', hidden: true }, url.line, el('div', { class: 'row' }, url.button, put));
    const make = async () => {
      const link = await client.ask({ type: 'guest.invite', name: name.value.trim() || undefined });
      name.value = '';
      put.set(say('into_conversation'));
      setText(said, say('link_ready'));
      show(made, true);
      url.show(link.url);
      this.#made = link.guest_invitation_id;
    };
    this.#lapse = () => {
      setText(said, say('join_used'));
      if (made.contains(document.activeElement)) name.focus();
      show(made, false);
    };
    // Of one that is gone.
    panel.addEventListener('panelclose', () => made.hidden && setText(said, ''));
    this.root = el(
      'div',
      { class: 'guest-links' },
      el('h3', { text: say('add_person') }),
      el('p', { class: 'fine', text: say('add_help') }),
      form('row', () => attempt(make()), field(say('guest_name'), name), wordButton('make_link', null, 'small', 'link')),
      said, made, this.#title, this.#list,
    );
    /** An open link: the code itself was shown only once. @param {OpenLink} link */
    this.#row = ({ guest_invitation_id }) => {
      const revoke = () => attempt(client.ask({ type: 'guest.revoke', guest_invitation_id }));
      const withdraw = wordButton('withdraw', revoke, 'small');
      const words = el('span', { class: 'person-words' });
      return { root: el('li', { class: 'person' }, words, withdraw), words };
    };
  }

  /** @param {Session} session */
  update({ guest_invitations: links }) {
    const open = links.some((link) => link.guest_invitation_id === this.#made);
    if (this.#open && !open) this.#lapse();
    this.#open = open;
    show(this.#title, links.length > 0);
    keyed(this.#list, links, (link) => link.guest_invitation_id, this.#row, ({ words }, link) => {
      setText(words, say('colon', { a: link.name || say('role_guest'), b: clock(link.until - Date.now()) }));
    });
  }
}
