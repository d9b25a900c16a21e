import { say } from '../catalogues/words.js';
import { makeLink } from '../hosts/join-link.js';
import { clock } from '../session/select.js';
import { wordButton } from './buttons.js';
import { CopyLine } from './copy-line.js';
import { el, keyed, setText, show } from './dom.js';

/** Making, handing out and withdrawing links for further people. */
export class GuestLinks {
  #client;
  #attempt;
  #name = el('input', { type: 'text', maxlength: '80', autocomplete: 'off', id: 'guest-name' });
  #url = new CopyLine(say('link_ready'));
  #write;
  #made;
  #said = el('p', { class: 'fine', role: 'status' });
  #list = el('ul', { class: 'links' });
  #listTitle = el('h3', { text: say('open_links') });
  /** @type {Map<string, {root: HTMLElement, words: HTMLElement}>} */
  #rows = new Map();
  root;

  /**
   * @param {SessionClient} client @param {Attempt} attempt
   * @param {((text: string) => Promise<boolean>)|null} write
   */
  constructor(client, attempt, write) {
    this.#client = client;
    this.#attempt = attempt;
    this.#write = wordButton(
      say('into_conversation'),
      async () => {
        const written = await write?.(this.#url.line.value);
        if (written) this.#write.set(say('written'));
        else setText(this.#said, say('unwritten'));
      },
      { kind: 'small', icon: 'send' },
    );
    show(this.#write.root, write !== null);
    this.#made = el(
      'div',
      { class: 'made', hidden: true },
      this.#url.line,
      el('div', { class: 'row' }, this.#url.button, this.#write.root),
      this.#said,
    );
    const make = wordButton(say('make_link'), () => {}, { kind: 'small', icon: 'link' });
    make.root.type = 'submit';
    const form = el(
      'form',
      { class: 'row', on: { submit: (/** @type {Event} */ event) => this.#make(event) } },
      el('label', { class: 'field', for: 'guest-name' }, el('span', { text: say('guest_name') }), this.#name),
      make.root,
    );
    this.root = el(
      'div',
      { class: 'guest-links' },
      el('h3', { text: say('add_person') }),
      el('p', { class: 'fine', text: say('add_help') }),
      form,
      this.#made,
      this.#listTitle,
      this.#list,
    );
  }

  /** @param {SessionState} session */
  update(session) {
    show(this.#listTitle, session.guestInvitations.length > 0);
    keyed(
      this.#list,
      this.#rows,
      session.guestInvitations,
      (link) => link.guest_invitation_id,
      (link) => this.#row(link),
      ({ words }, { name, expires_in_ms: left }) => setText(words, `${name || say('role_guest')} · ${clock(left)}`),
    );
  }

  /** An open link: the code itself was shown only once. @param {GuestInvitationView} link */
  #row({ guest_invitation_id }) {
    const revoke = () => this.#attempt(this.#client.ask({ type: 'guest.revoke', guest_invitation_id }));
    const withdraw = wordButton(say('withdraw'), revoke, { kind: 'small deed' });
    const words = el('span', { class: 'person-words' });
    return { root: el('li', { class: 'person' }, words, withdraw.root), words };
  }

  /** @param {Event} event */
  #make(event) {
    event.preventDefault();
    this.#attempt(
      makeLink(this.#client, this.#name.value.trim()).then((url) => {
        this.#name.value = '';
        this.#write.set(say('into_conversation'));
        setText(this.#said, say('link_ready'));
        show(this.#made, true);
        this.#url.show(url);
      }),
    );
  }
}
