import { wordButton } from '../views/buttons.js';
import { el, setText } from '../views/dom.js';
import { OperatorApi } from './operator-api.js';
import { SECTIONS, sessionSection } from './sections.js';
import { SectionView } from './section-view.js';

/** @typedef {import('./sections.js').Deed} Deed */
/** @typedef {import('./sections.js').Look} Look */
/** @typedef {import('./sections.js').Section} Section */

const LOOK_MS = 5_000;
/** What is wrong with a token, or that a proxy before the gateway wants one of its own. */
const TOKEN = /^token_|^http_401$/;

/** The operations console: asks for an operator's token, then shows what the API offers. */
export class ConsolePage extends HTMLElement {
  /** @type {OperatorApi|null} */
  #api = null;
  /** @type {{section: Section, view: SectionView}[]} */
  #shown = [];
  /** One session, more closely. @type {{section: Section, view: SectionView}|null} */
  #closer = null;
  #close = el('div');
  /** Not a live region: it would be read out every five seconds. */
  #status = el('p', { class: 'fine' });
  /** When anything was last. */
  #answered = '';
  /** What could not be done, until something else is. */
  #trouble = el('p', { class: 'trouble', role: 'alert' });
  #timer = 0;

  connectedCallback() {
    this.#askToken('');
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#api = null;
  }

  /** @param {string} problem */
  #askToken(problem) {
    clearTimeout(this.#timer);
    this.#api = null;
    const token = el('input', { type: 'password', id: 'token', required: true, autocomplete: 'off' });
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#open(new OperatorApi(token.value.trim()));
    };
    const button = wordButton('Open', () => {}, 'primary wide');
    button.root.type = 'submit';
    this.replaceChildren(
      el(
        'form',
        { class: 'login', on: { submit } },
        el('h1', { text: 'Switchboard operations' }),
        el('label', { class: 'field', for: 'token' }, el('span', { text: 'Operator\'s token' }), token),
        el('p', { class: 'fine', text: 'switchboard operator-token mints one. It stays in this page\'s memory.' }),
        el('p', { class: 'trouble', role: 'alert', text: problem }),
        button.root,
      ),
    );
    token.focus();
  }

  /** @param {OperatorApi} api */
  #open(api) {
    this.#api = api;
    this.#answered = 'Nothing was answered yet';
    this.#closer = null;
    setText(this.#trouble, '');
    this.#close = el('div');
    this.#shown = SECTIONS.map((section) => this.#viewOf(section));
    const [nodes, sessions, ...rest] = this.#shown.map(({ view }) => view.root);
    const out = wordButton('Forget the token', () => this.#askToken(''), 'small');
    this.replaceChildren(
      el('header', {}, el('h1', { text: 'Switchboard operations' }), this.#status, out.root),
      this.#trouble,
      ...[nodes, sessions, this.#close, ...rest].filter((each) => each !== undefined),
    );
    void this.#look();
  }

  /** @param {Section} section */
  #viewOf(section) {
    return { section, view: new SectionView(section, (deed) => this.#act(deed)) };
  }

  async #look() {
    const api = this.#api;
    if (!api) return;
    clearTimeout(this.#timer);
    const shown = this.#closer ? [...this.#shown, this.#closer] : this.#shown;
    const looks = shown.map(({ section }) => api.ask(section.path));
    const found = await Promise.allSettled(looks);
    if (api !== this.#api) return;
    const refused = found.find((one) => one.status === 'rejected' && TOKEN.test(one.reason.code));
    if (refused?.status === 'rejected') {
      this.#askToken(refused.reason.message);
      return;
    }
    found.forEach((one, index) => {
      if (one.status === 'fulfilled') shown[index]?.view.update(one.value);
      else shown[index]?.view.fail(one.reason.message);
    });
    if (found.some(({ status }) => status === 'fulfilled')) {
      this.#answered = `As of ${new Date().toLocaleTimeString()}`;
    }
    setText(this.#status, `${this.#answered}; asked again every 5 seconds.`);
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  /** @param {Deed|Look} deed */
  async #act(deed) {
    if ('opens' in deed) {
      const pressed = /** @type {HTMLElement} */ (document.activeElement);
      this.#closer = this.#viewOf(sessionSection(deed.opens));
      const shut = wordButton('Close', () => this.#shut(pressed), 'small');
      this.#close.replaceChildren(this.#closer.view.root, shut.root);
      this.#closer.view.focus();
      await this.#look();
      return;
    }
    setText(this.#trouble, '');
    try {
      await this.#api?.ask(deed.path, deed.body);
    } catch (error) {
      setText(this.#trouble, error instanceof Error ? error.message : String(error));
      return;
    }
    await this.#look();
  }

  /** @param {HTMLElement} pressed What opened it; its row may be gone with the session. */
  #shut(pressed) {
    this.#closer = null;
    this.#close.replaceChildren();
    if (pressed.isConnected) pressed.focus();
    else this.#shown[1]?.view.focus();
  }
}
