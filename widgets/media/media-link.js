import { Peer } from './peer.js';

const LOOK_MS = 1_000;
/** A report is made of so many looks. */
const LOOKS = 5;
/** So long another path may take, before the widget connects anew. */
const PATIENCE_MS = 4_000;
const RETRY_MS = 1_000;

/** Keeps one peer connection in line with the session; `close()` closes it. */
export class MediaLink {
  /** @type {Peer|null} */
  peer = null;
  /** @type {MediaState} */
  state = 'idle';
  #channel;
  #onChange;
  /** @type {Tracks} */
  #tracks = { microphone: null, camera: null, screen: null };
  #reports = 0;
  #patience = 0;
  /** Counts the offers: what answers an earlier one is late. */
  #round = 0;
  #seek = () => this.#findPath();
  /** Whether this person takes part: only then do tracks go out. */
  #joined = false;
  /** Whether one ahead of the answer was tried. */
  #tried = false;
  /** @type {Session|null} */
  #session = null;

  /** @param {SignallingChannel} channel @param {() => void} onChange */
  constructor(channel, onChange) {
    this.#channel = channel;
    this.#onChange = onChange;
  }

  /**
   * Connect while the person decides: the answer needs no handshake. Nothing passes before.
   * @param {Session} session
   */
  prepare(session) {
    this.#session = session;
    if (this.#tried) return;
    this.#tried = true;
    this.#build(session);
  }

  /** At each message; harmless when already done. @param {Session} session */
  negotiate(session) {
    this.#session = session;
    this.#joined = true;
    const before = this.peer;
    const peer = this.#build(session);
    if (!peer) return;
    void peer.setTracks(this.#tracks);
    if (peer.connected) this.#setState('connected');
    else if (this.state === 'idle') this.#setState('connecting');
    else if (this.state === 'lost' ? peer === before : peer !== before) this.#setState('reconnecting');
  }

  /** @param {Tracks} tracks */
  async setTracks(tracks) {
    this.#tracks = tracks;
    if (this.#joined) await this.peer?.setTracks(tracks);
  }

  close() {
    this.drop();
    this.#session = null;
    this.#joined = false;
    this.#tried = false;
    this.state = 'idle';
  }

  /** @param {Session} session */
  #build(session) {
    if (typeof RTCPeerConnection !== 'function') return null;
    if (this.peer && this.peer.epoch >= session.epoch) return this.peer;
    this.drop();
    const peer = new Peer(session.media, session.epoch, (state) => this.#onState(peer, state));
    this.peer = peer;
    addEventListener('online', this.#seek);
    void this.#exchange(peer);
    return peer;
  }

  /** @param {Peer} peer */
  async #exchange(peer) {
    const round = ++this.#round;
    const ahead = !this.#joined;
    const again = peer.answered;
    try {
      const offer = await peer.offer();
      if (round !== this.#round) return;
      const reply = await this.#channel.request({ type: 'media.offer', ...offer });
      if (round !== this.#round) return;
      await peer.answer(reply.sdp);
      if (round !== this.#round) return;
      // Where it cannot be had people talk without it.
      if (!again) this.#startReports(peer).catch(() => {});
      else if (!peer.connected) this.#rebuildIn(PATIENCE_MS);
      this.#onChange();
    } catch (/** @type {any} */ { code = '', retryable }) {
      if (round !== this.#round) return;
      if (ahead) {
        // Refused beforehand: whoever has joined meanwhile offers anew.
        this.drop();
        this.state = 'idle';
        if (this.#joined && this.#session) this.negotiate(this.#session);
        return;
      }
      if (again && ['connection_lost', 'timeout'].includes(code)) {
        this.#patience = setTimeout(this.#seek, RETRY_MS);
      } else if (again || retryable || code === 'stale_epoch') {
        this.#rebuildIn(RETRY_MS);
      } else {
        this.#setState(code === 'no_common_codec' ? code : 'failed');
      }
    }
  }

  /** The network may be another one: look for another path. Keys and call stay. */
  #findPath() {
    const { peer } = this;
    // A first offer is repeated by itself; who takes no part yet connects when they do.
    if (!this.#joined || !peer?.answered) return;
    clearTimeout(this.#patience);
    peer.connection.restartIce();
    void this.#exchange(peer);
  }

  /** @param {Peer} peer @param {PeerState} state */
  #onState(peer, state) {
    if (peer !== this.peer) return;
    const lost = state === 'failed' || state === 'disconnected';
    if (!this.#joined) {
      if (lost) this.drop();
    } else if (lost) {
      // Maybe the line, too, until it is heard.
      this.#setState('lost');
      this.#channel.hurry();
      if (state === 'failed') this.#rebuildIn(0);
      else this.#findPath();
    } else if (state === 'connected') {
      clearTimeout(this.#patience);
      this.#setState('connected');
    }
  }

  /** @param {number} ms */
  #rebuildIn(ms) {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      const session = this.#session;
      if (!session) return;
      this.drop();
      this.negotiate(session);
    }, ms);
  }

  /** @param {Peer} peer */
  async #startReports(peer) {
    const { inboundOf, Reporter, SoundHold } = await import('./report.js');
    if (peer !== this.peer) return;
    const reporter = new Reporter();
    const hold = new SoundHold();
    let looks = 0;
    clearInterval(this.#reports);
    this.#reports = setInterval(async () => {
      if (!this.#joined) return;
      const inbound = await inboundOf(peer);
      if (peer !== this.peer) return;
      hold.look(inbound, peer);
      looks += 1;
      if (looks % LOOKS) return;
      const slots = reporter.measure(inbound, peer);
      if (slots.length > 0) this.#channel.tell({ type: 'media.report', slots });
    }, LOOK_MS);
  }

  /** Give it up; `negotiate` builds anew. */
  drop() {
    this.#round += 1;
    removeEventListener('online', this.#seek);
    clearInterval(this.#reports);
    clearTimeout(this.#patience);
    const peer = this.peer;
    this.peer = null;
    peer?.close();
  }

  /** @param {MediaState} state */
  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.#onChange();
  }
}
