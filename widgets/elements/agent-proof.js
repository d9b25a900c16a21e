import { deviceToken, enrolDevice } from '../hosts/device-key.js';
import { post, Refusal } from '../hosts/gateway.js';
import { KeptToken } from '../hosts/kept-token.js';
import { loggedIn } from '../hosts/login-wait.js';
import { EnrolView, LoginView } from '../views/agent-login.js';
import { show } from '../views/dom.js';
import { Later, loadStyles } from '../views/later.js';

/**
 * What an account wants of its agents beyond a request for a token: a login on a page of its own,
 * a code that enrols this browser, a link for the consumer. A token that took a click is kept for
 * the tab, as every conversation has a frame of its own.
 */
export class AgentProof {
  /** What the agent is asked. @type {LoginView|EnrolView|null} */
  view = null;
  #config;
  #request;
  #host;
  #onChange;
  #kept;
  /** @type {Later<ConsumerLink>|null} */
  #link = null;
  /** One question at a time. @type {Promise<string>|null} */
  #asking = null;
  /** Ends what is being asked. @type {AbortController|null} */
  #ending = null;

  /**
   * @param {WidgetConfig} config The account's.
   * @param {() => Promise<string>} request For a token, where that is all it takes.
   * @param {AgentHost} host @param {() => void} onChange There is another view.
   */
  constructor(config, request, host, onChange) {
    this.#config = config;
    this.#request = request;
    this.#host = host;
    this.#onChange = onChange;
    this.#kept = new KeptToken(`agent.${config.account_id}`);
  }

  /**
   * The agent's token.
   * @param {boolean} ask Whether the agent may be asked; if not, it rejects where they had to be.
   * @returns {Promise<string>} Rejects with a `Refusal`.
   */
  async token(ask) {
    const { agent_login, account_id } = this.#config;
    if (agent_login === 'demo' || agent_login === 'token_url') return this.#request();
    const kept = this.#kept.get();
    if (kept) return kept;
    const known = agent_login === 'enrolment' ? await deviceToken(account_id) : null;
    if (known) return this.#kept.keep(known);
    if (!ask) throw new Refusal('token_invalid', 'The agent has to log in.', false);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
      this.#show(null);
    });
    return this.#asking;
  }

  /** Show what the agent is asked. @param {Widget} widget */
  show(widget) {
    const { view } = this;
    if (view) widget.present(view.name, () => view);
  }

  /** This token was refused. @param {string} token */
  forget(token) {
    if (this.#kept.get() === token) this.#kept.forget();
  }

  /** The widget goes, or looks at another conversation; nobody is asked any more. */
  close() {
    this.#ending?.abort();
    this.#link?.close();
  }

  /**
   * Offer the link to an agent whose consumer has to prove themselves by one, and has not.
   * @param {HTMLElement} place @param {boolean} watches Somebody else's conversation.
   * @param {WidgetState} state
   */
  offer(place, watches, state) {
    if (this.#config.consumer_proof !== 'link') return;
    if (!this.#link) {
      this.#link = new Later(
        () => import('../views/consumer-link.js'),
        ({ ConsumerLink }) => new ConsumerLink((sentence) => this.#sendLink(sentence)),
        () => {},
      );
      this.#link.hasten(() => {});
    }
    const { root } = this.#link;
    if (root.parentElement !== place) place.append(root);
    show(root, state.reach?.reach === 'absent' && !watches && state.ways.length === 0);
  }

  /** @param {(url: string) => string} sentence @returns {Promise<string>} What nobody wrote. */
  async #sendLink(sentence) {
    const engagement_key = String(this.#host.ids?.rt_session_id ?? '');
    const token = await this.token(true);
    const { url } = await post('/v1/consumer-links', { token, engagement_key });
    const line = sentence(url);
    return (await this.#host.write(line)) ? '' : line;
  }

  async #ask() {
    const ending = new AbortController();
    this.#ending = ending;
    try {
      await loadStyles('proof');
      // The widget has gone meanwhile, or turned to another conversation.
      ending.signal.throwIfAborted();
      const own = this.#config.agent_login === 'enrolment' ? this.#enrolled() : this.#loggedIn(ending.signal);
      return await Promise.race([own, arrival(this.#kept, ending.signal)]);
    } finally {
      ending.abort();
    }
  }

  /** @param {AbortSignal} signal */
  async #loggedIn(signal) {
    const view = new LoginView();
    const asked = loggedIn(
      this.#config.account_id,
      (code, url) => {
        view.show(code, url);
        this.#show(view);
      },
      signal,
    );
    return this.#kept.keep(await asked);
  }

  async #enrolled() {
    await new Promise((resolve) => {
      const enrol = (/** @type {string} */ code) =>
        enrolDevice(this.#config.account_id, code).then(resolve);
      this.#show(new EnrolView(enrol));
    });
    const made = await deviceToken(this.#config.account_id);
    if (!made) throw new Refusal('token_invalid', 'The browser was not enrolled.', false);
    return this.#kept.keep(made);
  }

  /** @param {LoginView|EnrolView|null} view */
  #show(view) {
    this.view = view;
    this.#onChange();
  }
}

/**
 * Wait until another frame of this tab keeps a token.
 * @param {KeptToken} kept @param {AbortSignal} signal Ends the wait: then this never settles.
 * @returns {Promise<string>}
 */
function arrival(kept, signal) {
  return new Promise((resolve) => {
    const look = () => kept.get() && resolve(kept.get());
    addEventListener('storage', look, { signal });
    // Or at once.
    look();
  });
}
