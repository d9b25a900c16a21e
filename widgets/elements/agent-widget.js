import { errorSentence, learn, say } from '../catalogues/words.js';
import { Memory } from '../channel/memory.js';
import { get, post } from '../hosts/gateway.js';
import { AgentHost } from '../hosts/agent-host.js';
import { SessionClient } from '../session/client.js';
import { AgentIdle } from '../views/agent-idle.js';
import { wordButton } from '../views/buttons.js';
import { el } from '../views/dom.js';
import { Later } from '../views/later.js';
import { SessionView } from '../views/session-view.js';
import { receiveHandOver, wayOut } from './own-window.js';
import { elsewhere, lobby, message, overWords, presentAway, told, Widget } from './widget.js';

/** What stands between an agent and the service, by the code of a refusal or else of the closing. @type {Record<string, string>} */
const CLOSED = {
  unknown_account: 'setup',
  origin_refused: 'setup',
  not_permitted: 'login',
  4401: 'login',
};

/**
 * The agent's widget: one button that rings, then the session. The frame may reload,
 * and the workspace may put another conversation into it, at any time.
 */
export class AgentWidget extends Widget {
  /** @type {SessionClient|null} */
  client = null;
  #query = new URLSearchParams(location.search);
  #host = new AgentHost(this.#query);
  #ids = '';
  #key = '';
  /** The token that the frame gave to its agent's own window. */
  #given = '';
  /** The last one. */
  #token = '';
  /** Where a proof takes more than a request. @type {AgentProof|null} */
  #proof = null;

  connectedCallback() {
    this.#host.addEventListener('change', () => this.#onHost());
    this.present('waiting', () => message({ title: say('connecting'), busy: true }));
    void this.#start();
  }

  async #start() {
    this.#given = (await receiveHandOver(this.#query)).token ?? '';
    await this.#host.start();
  }

  disconnectedCallback() {
    this.#host.gone = true;
    this.#proof?.close();
    this.client?.close();
    this.client = null;
  }

  #onHost() {
    const { ids } = this.#host;
    if (!ids) {
      this.#render();
      return;
    }
    const key = `${ids.account_id}.${ids.rt_session_id}`;
    const text = JSON.stringify(ids);
    if (key !== this.#key) {
      // A session stays until it ends.
      if (this.client?.session) return;
      this.#key = key;
      this.#connect();
    } else if (text !== this.#ids) {
      this.client?.tell({ type: 'engagement.update', engagement: ids });
    }
    this.#ids = text;
    this.#render();
  }

  #connect() {
    this.#proof?.close();
    this.#proof = null;
    this.client?.close();
    const surface = this.#query.get('surface') === 'pop_out' ? 'pop_out' : 'agent_frame';
    const client = new SessionClient({
      surface,
      takes: this.#query.has('handOver'),
      memory: new Memory(`${surface}.${this.#key}`),
      off: this.#query.get('off'),
      introduce: () => ({ engagement: this.#host.ids }),
      prove: (resuming) => this.#prove(!resuming),
    });
    client.addEventListener('change', () => {
      if (client !== this.client) return;
      if (client.session) this.#render();
      else this.#onHost();
    });
    this.client = client;
    client.connect();
  }

  /** @param {boolean} ask */
  async #prove(ask) {
    const { account_id, agent_id } = /** @type {EngagementIds} */ (this.#host.ids);
    const config = await get(`/v1/widget-config?account_id=${encodeURIComponent(account_id)}`);
    const agent = {
      account_id,
      agent_id,
      name: this.#host.agentName || say('role_agent'),
      // Only the demo believes it; elsewhere the token says.
      ...(this.#query.get('role') === 'supervisor' && { role: 'supervisor' }),
    };
    const path = config.agent_login === 'token_url' ? config.token_url : '/demo/agent-token';
    const request = async () => String((await post(path, agent)).token);
    if (!/demo|token_url/u.test(config.agent_login) || config.consumer_proof === 'link') {
      const [{ AgentProof }] = await Promise.all([import('./agent-proof.js'), learn('proof')]);
      this.#proof ??= new AgentProof(config, request, this.#host, () => this.#render());
    }
    // A window of its own has no login: the frame's token serves it once.
    const token = this.#given || (await (this.#proof ? this.#proof.token(ask) : request()));
    this.#given = '';
    this.#token = token;
    return token;
  }

  #render() {
    const { client } = this;
    if (!client) {
      this.#renderHost();
      return;
    }
    const { state, link } = client;
    let title = state.session ? `● ${say('title')}` : '';
    if (link.status === 'closed') {
      this.#renderClosed(client);
    } else if (state.session?.attendance === 'elsewhere') {
      presentAway(this, client);
    } else if (state.session?.attendance === 'lobby') {
      this.present('lobby', () => lobby(client));
    } else if (state.session) {
      this.#renderSession(client);
    } else if (state.over) {
      this.#renderOver(client);
    } else if (this.#proof?.view) {
      this.#proof.show(this);
    } else if (state.role === null) {
      const key = link.status === 'reconnecting' ? 'is_back_soon' : 'connecting';
      this.present(key, () => message({ title: say(key), busy: true }));
    } else {
      const idle = this.present(
        'idle',
        () => new AgentIdle(client, () => this.#render(), this.#ownWindow()),
      );
      const watches = this.#host.ids?.spectating === true || state.role === 'supervisor';
      idle.show({ state, name: this.#host.visitorName, agent: this.#host.colleague, watches });
      this.#proof?.offer(idle.actions, watches, state);
      title = idle.asked;
    }
    this.setTitle(title);
    this.#host.signal(title);
  }

  /** @param {SessionClient} client */
  #renderSession(client) {
    const host = this.#host;
    const view = this.present('session', () =>
      new SessionView(client, {
        write: host.canWrite ? (text) => host.write(text) : null,
        ownWindow: this.#ownWindow(),
        over: (attempt, update) => {
          const bring = () => import('../views/outgoing.js');
          return new Later(bring, ({ Outgoing }) => new Outgoing(client, attempt, host), update);
        },
        host,
        ...(client.state.role === 'agent' && { colleagues: () => import('../views/colleagues.js') }),
      }),
    );
    view.update();
  }

  #ownWindow() {
    return wayOut('/agent', this.#host, () => ({
      query: {
        surface: 'pop_out',
        agentName: this.#host.agentName,
        off: this.client?.media.off ?? '',
        led: this.#host.led,
      },
      // The frame's own may have ended; where no other comes in time it has to do.
      secrets: async () => {
        await Promise.race([this.#prove(false).catch(() => {}), new Promise((go) => setTimeout(go, 4_000))]);
        return { token: this.#token };
      },
    }));
  }

  /** @param {SessionClient} client */
  #renderOver(client) {
    const { over, ways } = client.state;
    if (!over) return;
    const words = overWords(over, client.going);
    if (over.unsaved) words.help = say('in_turn', { a: words.help, b: say('unsaved') });
    const { next } = this.present('over', () => {
      const button = wordButton('', () => client.dismiss(), 'primary');
      return { ...message({ ...words, sign: 'end' }, button), next: button };
    });
    // Behind it stands what can be done now.
    next.set(say(ways.length > 0 ? 'come_back' : 'close'));
  }

  #renderHost() {
    if (this.#host.status === 'absent') {
      this.present('absent', () => told('no_workspace', again(() => location.reload())));
    } else if (this.#host.status !== 'waiting') {
      this.present('none', () => told('no_conversation'));
    }
  }

  /** @param {SessionClient} client */
  #renderClosed({ link }) {
    const code = String(link.refusal?.code ?? link.code);
    const why = CLOSED[code] ?? CLOSED[link.code];
    if (why === 'login') this.#proof?.forget(this.#token);
    const back = () => this.#connect();
    this.present('closed', () => {
      if (link.code === 4409) return elsewhere(back);
      const help = why ? say(`closed_${why}`) : errorSentence(link.refusal);
      const admin = el('p', { class: 'fine', text: say('not_connected_help', { code }) });
      return message({ title: say('not_connected'), help }, again(back), admin);
    });
  }
}

/** @param {() => void} act */
const again = (act) => wordButton('try_again', act, 'primary');
