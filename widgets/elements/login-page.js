import { say } from '../catalogues/words.js';
import { get, post } from '../hosts/gateway.js';
import { showCode } from '../views/agent-login.js';
import { wordButton } from '../views/buttons.js';
import { el } from '../views/dom.js';
import { message, told, Widget } from './widget.js';

/** The page on which an agent logs in by LivePerson, opened by the frame that waits. */
export class LoginPage extends Widget {
  connectedCallback() {
    const outcome = location.hash.slice(1);
    const flow = new URLSearchParams(location.search).get('flow') ?? '';
    // Neither belongs into the history of a shared machine.
    history.replaceState(null, '', location.pathname);
    if (outcome) this.#say(outcome === 'done' ? 'login_done' : 'login_refused');
    else void this.#ask(flow).catch(() => this.#say('login_refused'));
  }

  /** @param {string} flow */
  async #ask(flow) {
    const { code } = await get(`/v1/login/flow?flow=${encodeURIComponent(flow)}`);
    const proceed = wordButton(
      'login_continue',
      () => {
        proceed.root.disabled = true;
        post('/v1/login/continue', { flow }).then(
          ({ url }) => location.assign(url),
          () => this.#say('login_refused'),
        );
      },
      'primary wide',
    );
    const differs = wordButton('login_differs', () => this.#leave(), 'wide');
    // Neither answer has the focus: the code is what is to be looked at.
    const shown = el('p', { class: 'code', tabindex: -1, 'data-focus': true });
    showCode(shown, code);
    this.present('login', () => told('login_compare', shown, proceed, differs));
  }

  /** Somebody else's login, which nothing comes of. */
  #leave() {
    this.present('differs', () => message({ title: say('login_refused_help') }));
  }

  /** @param {string} outcome */
  #say(outcome) {
    this.present(outcome, () => told(outcome));
  }
}
