import { wordButton } from '../views/buttons.js';
import { el, setText } from '../views/dom.js';
import { OperatorApi } from './operator-api.js';
import { SECTIONS } from './sections.js';
import { SectionView } from './section-view.js';

/** @typedef {import('./sections.js').Deed} Deed */

const LOOK_MS = 5_000;
const NOT_OFFERED =
  'Not part of the operators\' API, and therefore not here: single live sessions with their participants ' +
  'and quality, and ending one. A brand\'s own API key has them for its account.';

/** The operations console: asks for an operator's token, then shows what the API offers. */
export class ConsolePage extends HTMLElement {
  /** @type {OperatorApi|null} */
  #api = null;
  /** @type {SectionView[]} */
  #views = [];
  #status = el('p', { class: 'fine', role: 'status' });
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
    const button = wordButton('Open', () => {}, { kind: 'primary wide' });
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
    this.#views = SECTIONS.map((section) => new SectionView(section, (deed) => this.#act(deed)));
    const out = wordButton('Forget the token', () => this.#askToken(''), { kind: 'small' });
    this.replaceChildren(
      el('header', {}, el('h1', { text: 'Switchboard operations' }), this.#status, out.root),
      ...this.#views.map((view) => view.root),
      el('p', { class: 'fine', text: NOT_OFFERED }),
    );
    void this.#look();
  }

  async #look() {
    const api = this.#api;
    if (!api) return;
    clearTimeout(this.#timer);
    const looks = SECTIONS.map(({ path }) => api.ask(path));
    const found = await Promise.allSettled(looks);
    if (api !== this.#api) return;
    const refused = found.find((one) => one.status === 'rejected' && one.reason.code === 'token');
    if (refused?.status === 'rejected') {
      this.#askToken(refused.reason.message);
      return;
    }
    found.forEach((one, index) => {
      if (one.status === 'fulfilled') this.#views[index]?.update(one.value);
      else this.#views[index]?.fail(one.reason.message);
    });
    setText(this.#status, `Looked at ${new Date().toLocaleTimeString()}, again every 5 seconds.`);
    this.#timer = Number(setTimeout(() => void this.#look(), LOOK_MS));
  }

  /** @param {Deed} deed */
  async #act({ path, body }) {
    try {
      await this.#api?.ask(path, body);
    } catch (error) {
      setText(this.#status, error instanceof Error ? error.message : String(error));
      return;
    }
    await this.#look();
  }
}
