import { errorSentence, say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el, message, setAttr, setText } from './dom.js';
import { field, form } from './fields.js';

/** The frame waits while its agent logs in on a page of its own, which shows the same code. */
export class LoginView {
  #code = el('p', { class: 'code' });
  #url = '';
  name = 'login';
  root;

  constructor() {
    const open = () => void window.open(inOurLanguage(this.#url), '_blank', 'noopener');
    const button = wordButton('login_open', open, 'primary wide');
    const words = { title: say('login_title'), help: say('login_help') };
    this.root = message(words, this.#code, button).root;
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
    const code = field(say('enrol_code'), this.#code);
    const entry = form('actions', () => this.#submit(enrol), code, this.#button, this.#trouble);
    this.root = message({ title: say('enrol_title'), help: say('enrol_help') }, entry).root;
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

/** @param {string} url @returns {URL} */
function inOurLanguage(url) {
  const address = new URL(url, location.href);
  address.searchParams.set('lang', document.documentElement.lang);
  return address;
}
