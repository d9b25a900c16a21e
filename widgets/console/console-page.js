import { wordButton } from '../views/buttons.js';
import { el, setText } from '../views/dom.js';
import { OperatorApi } from './operator-api.js';
import { SECTIONS, sessionSection } from './sections.js';
import { SectionView } from './section-view.js';

/** @typedef {import('../hosts/gateway.js').Refusal} Refusal */
/** @typedef {import('./sections.js').Deed} Deed */
/** @typedef {import('./sections.js').Look} Look */
/** @typedef {import('./sections.js').Section} Section */

const LOOK_MS = 5_000;
/** So long it is said what has come of a deed; the lists show it from then on. */
const DONE_MS = 15_000;
/** What is wrong with a token, or that a proxy before the gateway wants one of its own. */
const TOKEN = /^token_|^http_401$/;
/** There is nothing more to look at. */
const OVER = /^(session_ended|unknown_session)$/;

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
  /** Why nothing at all is answered. */
  #away = el('p', { class: 'trouble', role: 'status' });
  /** What could not be done, until something else is. */
  #trouble = el('p', { class: 'trouble', role: 'alert' });
  /** What has come of the last deed. */
  #done = el('p', { class: 'done', role: 'status' });
  #looks = 0;
  #timer = 0;
  #doneTimer = 0;

  connectedCallback() {
    this.#askToken('');
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    clearTimeout(this.#doneTimer);
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
    this.#say('', '');
    this.#close = el('div');
    this.#shown = SECTIONS.map((section) => this.#viewOf(section));
    const [nodes, sessions, ...rest] = this.#shown.map(({ view }) => view.root);
    const out = wordButton('Forget the token', () => this.#askToken(''), 'small');
    this.replaceChildren(
      el('header', {}, el('h1', { text: 'Switchboard operations' }), this.#status, out.root),
      this.#away,
      el('div', { class: 'outcome' }, this.#trouble, this.#done),
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
    const look = ++this.#looks;
    const shown = this.#closer ? [...this.#shown, this.#closer] : this.#shown;
    const looks = shown.map(({ section }) => api.ask(section.path));
    const found = await Promise.allSettled(looks);
    // A deed is looked at again meanwhile: what was asked before it is old.
    if (api !== this.#api || look !== this.#looks) return;
    const refused = found.find((one) => one.status === 'rejected' && TOKEN.test(one.reason.code));
    if (refused?.status === 'rejected') {
      this.#askToken(refused.reason.message);
      return;
    }
    const reasons = found.map((one) => (one.status === 'rejected' ? one.reason.message : ''));
    // What is wrong with everything is said once.
    const [same = ''] = reasons.every((words) => words === reasons[0]) ? reasons : [];
    found.forEach((one, index) => {
      const view = shown[index]?.view;
      if (one.status === 'fulfilled') view?.update(one.value);
      else if (OVER.test(one.reason.code)) this.#over(view, one.reason.message);
      else view?.fail(same ? '' : one.reason.message);
    });
    if (found.some(({ status }) => status === 'fulfilled')) {
      this.#answered = `As of ${new Date().toLocaleTimeString()}`;
    }
    setText(this.#away, same);
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
    this.#say('', '');
    const api = this.#api;
    try {
      const answer = await api?.ask(deed.path, deed.body);
      if (api === this.#api) this.#say('', `${deed.about}: ${deed.done(answer)}`);
    } catch (error) {
      if (api !== this.#api) return;
      const { code, message } = /** @type {Refusal} */ (error);
      if (TOKEN.test(code)) {
        this.#askToken(`${message} Nothing was done.`);
        return;
      }
      this.#say(`${deed.about}: ${message}`, '');
    }
    await this.#look();
  }

  /** @param {string} trouble @param {string} done */
  #say(trouble, done) {
    clearTimeout(this.#doneTimer);
    setText(this.#trouble, trouble);
    setText(this.#done, done);
    if (done) this.#doneTimer = setTimeout(() => setText(this.#done, ''), DONE_MS);
  }

  /** @param {SectionView|undefined} view @param {string} words */
  #over(view, words) {
    view?.over(words);
    if (view === this.#closer?.view) this.#closer = null;
  }

  /** @param {HTMLElement} pressed What opened it; its row may be gone with the session. */
  #shut(pressed) {
    this.#closer = null;
    this.#close.replaceChildren();
    if (pressed.isConnected) pressed.focus();
    else this.#shown[1]?.view.focus();
  }
}
