import { SignallingChannel } from '../channel/channel.js';
import { LocalMedia } from '../media/local-media.js';
import { MediaLink } from '../media/media-link.js';
import { INITIAL, moved, over, reduce } from './reduce.js';
import { keepable, may, ownEntry } from './select.js';

const FOR_GOOD = [4401, 4404, 4410];

/**
 * One widget's part in a session: what the broker said (`state`), connection (`link`), devices
 * (`media`). Emits `change`, once in a turn of the event loop.
 */
export class SessionClient extends EventTarget {
  state = INITIAL;
  /** @type {Link} */
  link = { status: 'idle', code: 0, refusal: null };
  media = new LocalMedia(() => this.#onMedia());
  mediaLink;
  #options;
  #channel;
  #resumed = false;
  #scheduled = false;
  #published = '';
  /** Whether the host shows the widget. */
  #shown = true;
  /** What the broker was told of it last. */
  #seen = true;
  #look = () => this.setShown(this.#shown);
  /** Some browsers bring the page back as it was. @param {Event} [event] */
  #leave = (event) => this.#options.memory.set('left', event?.type === 'pageshow' ? null : '1');
  /** Another connected transport of this person. */
  #otherTransport = '';
  /** Whether the last other one has closed. */
  deserted = false;
  /** Whether the person goes, as soon as there is a line, or went. */
  going = false;

  /** @param {ClientOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    const { memory, off = null, surface } = options;
    memory.set('off', memory.get('off') ?? off);
    // Nobody left it to a copy of the tab. A guest has no other way back.
    if (!memory.get('left') && surface !== 'guest_page') memory.set('resume', null);
    memory.set('left', null);
    this.#channel = new SignallingChannel({
      url: options.url ?? `${location.origin.replace(/^http/, 'ws')}/v1/connect`,
      greet: (lastSeq) => this.#greet(lastSeq),
      onMessage: (message) => this.#onMessage(message),
      onLink: (link) => this.#onLink(link),
      mayRetry: (code) => this.#mayRetry(code),
    });
    this.mediaLink = new MediaLink(this.#channel, () => this.#changed());
  }

  get peer() {
    return this.mediaLink.peer;
  }

  get session() {
    return this.state.session;
  }

  /** Whether what the widget shows is visible to the person. */
  get visible() {
    return this.#shown && document.visibilityState === 'visible';
  }

  connect() {
    document.addEventListener('visibilitychange', this.#look);
    addEventListener('pagehide', this.#leave);
    addEventListener('pageshow', this.#leave);
    this.#channel.connect();
  }

  close() {
    document.removeEventListener('visibilitychange', this.#look);
    removeEventListener('pagehide', this.#leave);
    removeEventListener('pageshow', this.#leave);
    this.#leave();
    this.#channel.close();
    this.media.close();
  }

  /** @param {ToBroker} message */
  ask(message) {
    return this.#channel.request(message);
  }

  /** What has no reply. @param {ToBroker} message */
  tell(message) {
    this.#channel.tell(message);
  }

  leave() {
    return this.#go('session.leave');
  }

  end() {
    return this.#go('session.end');
  }

  /** Asked for on every connection until it has taken effect. @param {string} type */
  async #go(type) {
    this.going = true;
    for (;;) {
      // Whoever goes is seen and heard no more.
      this.media.turnOff(['microphone', 'camera', 'screen']);
      try {
        return await this.ask({ type });
      } catch (/** @type {any} */ refusal) {
        // It is over: another session is not left by that.
        if (!this.session) return;
        if (this.link.status === 'reconnecting' && refusal.code !== 'busy') continue;
        this.going = false;
        this.#changed();
        throw refusal;
      }
    }
  }

  /** It turns no camera on. @param {Mode} mode */
  async setMode(mode) {
    void this.media.turn('camera', false);
    if (mode === 'voice') this.media.turnOff(['screen']);
    await this.ask({ type: 'media.mode', mode });
  }

  /** @param {boolean} shown */
  setShown(shown) {
    this.#shown = shown;
    const { visible } = this;
    if (visible === this.#seen) return;
    this.#seen = visible;
    this.tell({ type: 'surface.update', visible });
    if (visible) this.#channel.hurry();
    this.#changed();
  }

  /** Go on with the session here; the other surface stands back. */
  takeHere() {
    this.#otherTransport = '';
    this.media.off = this.#options.memory.get('off') ?? '';
    this.state = moved(this.state, 'present');
    this.#settle();
    this.#changed();
  }

  /** The person has read why it is over. */
  dismiss() {
    this.state = { ...this.state, over: null };
    this.connect();
    this.#changed();
  }

  /** @param {number} lastSeq */
  async #greet(lastSeq) {
    const { surface, memory, introduce, prove } = this.#options;
    const resume = this.state.resume ?? memory.get('resume');
    this.#resumed = resume !== null;
    this.#seen = this.visible;
    const self = { surface, visible: this.#seen, ...introduce() };
    if (resume === null) return { ...self, token: await prove(false) };
    // The ordinary token decides when the session is over by now.
    const token = await prove(true).catch(() => {});
    return { ...self, token, resume, last_seq: this.session ? lastSeq : 0 };
  }

  /** @param {number} code */
  #mayRetry(code) {
    if (FOR_GOOD.includes(code) && this.#resumed) {
      // That is gone: come as if for the first time.
      this.#forget();
      return true;
    }
    return undefined;
  }

  #forget() {
    this.#options.memory.set('resume', null);
    this.#channel.forgetSession();
    this.#lose();
    this.#settle();
  }

  /** Nothing more will be heard of it. */
  #lose() {
    this.media.stop();
    this.state = over(this.state, 'lost', 'session', Date.now());
  }

  /** @param {Link} link */
  #onLink(link) {
    this.link = link;
    if (link.status === 'open') this.#published = '';
    if (link.status === 'closed') {
      this.mediaLink.close();
      this.#lose();
    }
    this.#changed();
  }

  /** @param {BrokerMessage} message */
  #onMessage(message) {
    const before = this.state;
    this.state = reduce(before, message, Date.now());
    const options = this.#options;
    const { memory } = options;
    if (message.type === 'session.snapshot') {
      if (!before.session) this.going = false;
      // What was told on the way to whoever says this may be lost.
      this.#published = '';
      this.link = { ...this.link };
      // A window of its own was opened for that.
      if (options.takes && !this.#resumed && message.attendance === 'elsewhere') this.takeHere();
      options.takes = false;
    }
    const { session, resume } = this.state;
    // Transports are those of one actor.
    if (session?.epoch !== before.session?.epoch) this.#otherTransport = '';
    if (keepable(session)) {
      memory.set('resume', resume);
      if (!before.session) this.media.off = memory.get('off') ?? this.media.off;
    } else if (before.session && !session) this.#forget();
    // Until then what one turned off stays off. No consumer is told whether there is one.
    const welcome = message.type === 'connection.welcome' && message.role !== 'consumer';
    const none = welcome ? !message.in_session : before.session;
    if (none && !session) memory.set('off', null);
    if (message.type === 'participant.muted') this.media.turnOff(message.sources);
    else if ('capabilities' in message && session?.attendance === 'present') this.media.turnOff(forbidden(session));
    else if (message.type === 'media.transport') this.#onTransport(message.transport_id, message.state);
    else if (message.type === 'media.layers') this.peer?.setLayers(message.source, message.rids);
    this.#settle();
    this.#changed();
  }

  /**
   * This one stands back when its transport is closed for that of another surface.
   * @param {string} id @param {string} state
   */
  #onTransport(id, state) {
    if (this.session?.attendance === 'invited') {
      // Of several that ring one is connected ahead; an answer here connects anew.
      if (id === this.peer?.id && state === 'closed') this.mediaLink.drop();
      return;
    }
    if (id === this.peer?.id) {
      if (state !== 'closed' || !this.#otherTransport) return;
      this.state = moved(this.state, 'elsewhere');
    } else if (state === 'connected') {
      this.#otherTransport = id;
      this.deserted = false;
    } else if (state === 'closed' && [id, ''].includes(this.#otherTransport)) {
      this.#otherTransport = '';
      this.deserted = true;
    }
  }

  /** Bring devices and connection in line with where this person stands. */
  #settle() {
    const session = this.session;
    if (session?.attendance !== 'elsewhere') this.deserted = false;
    if (session?.attendance === 'present' || session?.attendance === 'reconnecting') {
      // Whoever only listens has nothing to send: no device is opened.
      if (may(session, 'send_audio') || may(session, 'send_video')) {
        void this.media.open(session.mode === 'video' && may(session, 'send_video'));
      }
      this.mediaLink.negotiate(session);
      this.#publish();
    } else if (session?.attendance === 'invited') {
      this.mediaLink.prepare(session);
    } else {
      this.mediaLink.close();
      if (session?.attendance === 'elsewhere') {
        // What is off there is off here, if it comes back.
        const { microphone, camera } = ownEntry(session) ?? {};
        this.#options.memory.set('off', (microphone ? '' : 'microphone') + (camera ? '' : 'camera'));
        this.media.stop();
      }
    }
  }

  #onMedia() {
    const { session, media } = this;
    if (keepable(session)) this.#options.memory.set('off', media.off);
    void this.mediaLink.setTracks(media.tracks);
    this.#publish();
    this.#changed();
  }

  #publish() {
    if (!this.peer || this.link.status !== 'open') return;
    if (this.session?.attendance !== 'present') return;
    // Until there is something here, another window may go on sending.
    if (this.media.opening && !this.media.live) return;
    const text = `${this.peer.id} ${JSON.stringify(this.media.publishing)}`;
    if (text === this.#published) return;
    this.#published = text;
    this.#channel.tell({ type: 'media.publish', ...this.media.publishing });
    // With voice only none goes out.
    const { mode } = this.session;
    if (mode === 'voice' && this.media.tracks.screen) void this.setMode('video').catch(() => {});
  }

  #changed() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.dispatchEvent(new Event('change'));
    });
  }
}

/** @param {Session} session */
function forbidden(session) {
  const rights = { microphone: 'send_audio', camera: 'send_video', screen: 'send_screen' };
  return Object.entries(rights)
    .filter(([, capability]) => !may(session, capability))
    .map(([source]) => source);
}
