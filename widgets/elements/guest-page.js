import { say } from '../catalogues/words.js';
import { Memory } from '../channel/memory.js';
import { post } from '../hosts/gateway.js';
import { SessionClient } from '../session/client.js';
import { JoinForm } from '../views/join-form.js';
import { SessionView } from '../views/session-view.js';
import { fetchRating, overScreen } from './over-screen.js';
import { elsewhere, lobby, message, presentAway, told, Widget } from './widget.js';

/** Refusals after which this link serves nobody any more. */
const DEAD = ['link_used', 'unknown_invitation', 'session_ended'];

/**
 * The page behind a guest link. Looking at it uses nothing up (previews look at links); only
 * *Join* does. The code stands in the fragment, which no server sees.
 */
export class GuestPage extends Widget {
  /** @type {SessionClient|null} */
  client = null;
  #code = location.hash.slice(1);
  #memory = new Memory(`guest_page.${this.#code.slice(0, 12)}`);
  /** What the hello says of the guest. @type {{name?: string}} */
  #introduction = {};
  /** @type {string|undefined} */
  #token;

  connectedCallback() {
    if (!this.#code) {
      this.present('none', () => told('join_no_code'));
      return;
    }
    const client = new SessionClient({
      surface: 'guest_page',
      memory: this.#memory,
      introduce: () => this.#introduction,
      prove: async () => this.#token,
    });
    client.addEventListener('change', () => {
      if (client === this.client) this.#render(client);
    });
    this.client = client;
    if (this.#memory.get('resume')) {
      this.present('connecting', () => message({ title: say('connecting'), busy: true }));
      client.connect();
    } else {
      this.present('join', () => new JoinForm(client.media, (name) => this.#join(client, name)));
    }
  }

  disconnectedCallback() {
    this.client?.close();
    this.client = null;
  }

  /** @param {SessionClient} client What they saw of themselves goes along. @param {string} name */
  async #join(client, name) {
    try {
      ({ token: this.#token } = await post('/v1/guest', { code: this.#code, name }));
    } catch (/** @type {any} */ error) {
      if (!DEAD.includes(error.code)) throw error;
      this.#presentUsed();
      return;
    }
    this.#introduction = { name };
    client.connect();
  }

  #presentUsed() {
    this.present('closed', () => told('join_used'));
  }

  /** @param {SessionClient} client */
  #render(client) {
    const { session, over } = client.state;
    if (session?.attendance === 'lobby') {
      this.present('lobby', () => lobby(client));
    } else if (session?.attendance === 'elsewhere') {
      this.setTitle('');
      presentAway(this, client);
    } else if (session) {
      this.setTitle(`● ${say('title')}`);
      this.present('session', () => new SessionView(client, { atEnd: fetchRating })).update();
    } else if (over && client.link.code === 4409) {
      this.setTitle('');
      this.present('replaced', () => elsewhere(() => client.dismiss()));
    } else if (over) {
      this.setTitle('');
      this.present('over', () => overScreen(over, client.going, say(over.for === 'me' ? 'over_link' : 'over_page')));
    } else if (client.link.status === 'closed') {
      this.#presentUsed();
    } else if (client.link.status === 'open') {
      this.present('connecting', () => message({ title: say('connecting'), busy: true }));
    } else if (this.dataset.view === 'join') {
      (/** @type {{update?: () => void}} */ (this.present('join', () => message({ title: '' })))).update?.();
    }
  }
}
