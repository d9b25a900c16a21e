import { errorSentence, say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el, setAttr, setText } from './dom.js';
import { field, form } from './fields.js';

/** The frame waits while its agent logs in on a page of its own, which shows the same code. */
export class LoginView {
  #code = el('p', { class: 'code' });
  #url = '';
  name = 'login';
  root;

  constructor() {
    const open = () => void window.open(inOurLanguage(this.#url), '_blank', 'noopener');
    const button = wordButton('login_open', open, 'primary wide').root;
    button.dataset.focus = '';
    this.root = screen(say('login_title'), say('login_help'), this.#code, button);
  }

  /** @param {string} code @param {string} url */
  show(code, url) {
    this.#url = url;
    showCode(this.#code, code);
  }
}

/** An agent enters the code they were given, once for this browser. */
export class EnrolView {
  #trouble = el('p', { class: 'fine trouble', role: 'alert' });
  #code = el('input', {
    type: 'text',
    required: true,
    autocomplete: 'off',
    spellcheck: 'false',
    'data-focus': true,
  });
  #button = wordButton('enrol_send', null, 'primary wide').root;
  name = 'enrol';
  root;

  /** @param {(code: string) => Promise<void>} enrol */
  constructor(enrol) {
    this.root = screen(
      say('enrol_title'),
      say('enrol_help'),
      form(
        'actions',
        () => this.#submit(enrol),
        field(say('enrol_code'), this.#code),
        this.#button,
        this.#trouble,
      ),
    );
  }

  /** @param {(code: string) => Promise<void>} enrol */
  async #submit(enrol) {
    this.#button.disabled = true;
    setText(this.#trouble, '');
    try {
      await enrol(this.#code.value.trim());
    } catch (error) {
      const { code } = /** @type {{code?: string}} */ (error);
      setText(this.#trouble, code === 'unknown_entry' ? say('enrol_wrong') : errorSentence(error));
      this.#button.disabled = false;
    }
  }
}

/** Show a code for eyes and, letter by letter, for a screen reader. @param {HTMLElement} place @param {string} code */
export function showCode(place, code) {
  setText(place, code);
  setAttr(place, 'role', 'img');
  setAttr(place, 'aria-label', say('login_code', { code: [...code].join(' ') }));
}

/** @param {string} title @param {string} help @param {...HTMLElement} parts */
export function screen(title, help, ...parts) {
  return el(
    'div',
    { class: 'message' },
    el('div', { class: 'mark', 'aria-hidden': 'true' }),
    el('h1', { text: title }),
    el('p', { text: help }),
    ...parts,
  );
}

/** @param {string} url @returns {URL} */
function inOurLanguage(url) {
  const address = new URL(url, location.href);
  address.searchParams.set('lang', document.documentElement.lang);
  return address;
}
