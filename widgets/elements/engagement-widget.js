import { say } from '../catalogues/words.js';
import { randomText } from '../channel/channel.js';
import { Memory } from '../channel/memory.js';
import { ConsumerProof } from '../hosts/consumer-proof.js';
import { InvitedClient } from '../session/invited-client.js';
import { wordButton } from '../views/buttons.js';
import { Incoming } from '../views/incoming.js';
import { SessionView } from '../views/session-view.js';
import { fetchRating, overScreen } from './over-screen.js';
import { receiveHandOver, wayOut } from './own-window.js';
import { elsewhere, message, presentAway, told, Widget } from './widget.js';

/** The consumer's widget: it waits to be rung and opens nothing until the person says so. */
export class EngagementWidget extends Widget {
  /** @type {InvitedClient|null} */
  client = null;
  #query = new URLSearchParams(location.search);
  #surface = this.#query.get('surface') === 'launcher' ? 'launcher' : 'window';
  #host;
  #key = '';
  #claim = '';
  #ids = '';
  /** Where the client stands. @type {EngagementIds|null} */
  #at = null;
  #missing = false;
  /** Ends the ringing. @type {AbortController|null} */
  #ringing = null;

  /** @param {ConsumerHost} host */
  static define(host) {
    customElements.define('switchboard-engagement', class extends EngagementWidget {
      constructor() {
        super(host);
      }
    });
  }

  /** @param {ConsumerHost} host What frames the page. */
  constructor(host) {
    super();
    this.#host = host;
  }

  connectedCallback() {
    this.#host.addEventListener('change', () => this.#onHost());
    this.#wait(false);
    void this.#start();
  }

  async #start() {
    this.#claim = (await receiveHandOver(this.#query)).claim ?? '';
    await this.#host.start();
  }

  disconnectedCallback() {
    this.#stopRinging();
    this.#host.gone = true;
    this.client?.close();
    this.client = null;
  }

  #onHost() {
    const { ids, missing } = this.#host;
    if (!ids) {
      // Without the host's script nobody knows of a conversation.
      if (missing !== this.#missing) this.#wait(missing);
      this.#missing = missing;
      return;
    }
    const key = `${ids.account_id}.${ids.conversation_id ?? ids.window_session_id}`;
    const text = JSON.stringify(ids);
    const before = this.#at?.conversation_id;
    if (key !== this.#key && !this.client?.session) {
      this.#key = key;
      this.#at = ids;
      this.#connect();
    } else if (text !== this.#ids && [undefined, ids.conversation_id].includes(before)) {
      // More of the same one: a session stays until it ends.
      this.#at = ids;
      this.client?.tell({ type: 'engagement.update', engagement: ids });
    }
    this.#ids = text;
    this.client?.setShown(this.#host.shown);
  }

  #connect() {
    this.client?.close();
    // Who shows the same secret on another surface is the same consumer.
    const claims = new Memory('claim', 'localStorage');
    const claim = this.#claim || (claims.get(this.#key) ?? randomText(24));
    this.#claim = claim;
    claims.set(this.#key, claim);
    const proof = new ConsumerProof(this.#key, claim);
    const client = new InvitedClient({
      surface: this.#surface,
      takes: this.#query.has('handOver'),
      memory: new Memory(`${this.#surface}.${this.#key}`),
      off: this.#query.get('off'),
      introduce: () => ({ engagement: this.#at, claim_secret: claim }),
      prove: () => proof.token(/** @type {EngagementIds} */ (this.#at)),
    });
    client.addEventListener('change', () => {
      if (client !== this.client) return;
      this.#render(client);
      // Another conversation may have come meanwhile.
      if (!client.session) this.#onHost();
    });
    this.client = client;
    client.setShown(this.#host.shown);
    client.connect();
  }

  /** @param {InvitedClient} client */
  #render(client) {
    const { session, over } = client.state;
    const ringing = session?.attendance === 'invited' && session.invitation !== null;
    if (!ringing) this.#stopRinging();
    if (session && ringing) {
      this.present('incoming', () => new Incoming(client, this.#ownWindow())).update();
      this.#host.show('ring');
      this.#ring(session.invitation?.from_name || say('an_agent'));
    } else if (session?.attendance === 'elsewhere') {
      presentAway(this, client);
      this.setTitle('');
      this.#host.show(client.deserted ? 'session' : 'closed');
    } else if (session && session.attendance !== 'invited') {
      const options = { ownWindow: this.#ownWindow(), atEnd: fetchRating };
      this.present('session', () => new SessionView(client, options)).update();
      this.setTitle(`● ${say('title')}`);
      this.#host.show('session');
    } else if (over) {
      this.#renderOver(client);
    } else if (client.link.status === 'closed' && location.hash) {
      this.present('used', () => told('join_used'));
    } else {
      this.#wait(client.link.status === 'closed');
      this.setTitle('');
      this.#host.show('closed');
    }
  }

  /** Where nobody will ring, nobody is told to wait. @param {boolean} shut */
  #wait(shut) {
    const [view, help] = shut ? ['shut', 'quiet_shut'] : ['quiet', 'quiet_help'];
    this.present(view, () => message({ title: say('quiet_title'), help: say(help) }));
  }

  #ownWindow() {
    return wayOut('/engagement', this.#host, () => ({
      query: { surface: 'window', off: this.client?.media.off ?? '' },
      secrets: async () => ({ claim: this.#claim }),
    }));
  }

  /** @param {InvitedClient} client */
  #renderOver(client) {
    const { over } = client.state;
    if (!over) return;
    this.setTitle('');
    this.#host.show('over');
    if (client.link.code === 4409) {
      this.present('replaced', () => elsewhere(() => client.dismiss()));
      return;
    }
    this.present('over', () => {
      const close = wordButton('close', () => client.dismiss(), 'primary');
      return overScreen(over, client.going, say('over_next'), close);
    });
  }

  /** @param {string} name */
  #ring(name) {
    if (this.#ringing) return;
    const { signal } = (this.#ringing = new AbortController());
    const words = say('ring_title', { name });
    // The page around the frame learns no name.
    const said = say('ring_title', { name: say('an_agent') });
    this.#host.notify(words);
    // A page that cannot have the module has shown the invitation all the same.
    void import('./ringing.js').then(({ ring }) => ring(this, words, said, this.#host, signal), () => {});
  }

  #stopRinging() {
    this.#ringing?.abort();
    this.#ringing = null;
  }
}
