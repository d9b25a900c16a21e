import { Peer } from './peer.js';

const REPORT_MS = 5_000;
/** So long ICE may take to come back by itself, before the widget connects anew. */
const PATIENCE_MS = 4_000;
const RETRY_MS = 1_000;

/**
 * Keeps one peer connection in line with the session and reports what it measures. Owned by
 * `SessionClient`; `close()` closes it.
 */
export class MediaLink {
  /** @type {Peer|null} */
  peer = null;
  /** @type {'idle'|'connecting'|'connected'|'reconnecting'|'failed'} */
  state = 'idle';
  #channel;
  #onChange;
  /** @type {LocalMedia['tracks']} */
  #tracks = { microphone: null, camera: null, screen: null };
  /** The peer whose offer is under way or answered. @type {Peer|null} */
  #offered = null;
  #reports = 0;
  #patience = 0;
  /** Whether this person takes part: only then do tracks go out and states matter. */
  #joined = false;
  /** Whether a connection ahead of the answer was tried; one try is enough. */
  #tried = false;
  /** @type {SessionState|null} */
  #session = null;

  /** @param {SignallingChannel} channel @param {() => void} onChange */
  constructor(channel, onChange) {
    this.#channel = channel;
    this.#onChange = onChange;
  }

  /**
   * Connect while the person decides, so that the answer needs no handshake. No track is sent, and
   * the relay lets nothing pass before the person takes part.
   * @param {SessionState} session
   */
  prepare(session) {
    this.#session = session;
    if (this.#tried) return;
    const peer = this.#build(session);
    if (!peer) return;
    this.#tried = true;
    this.#offered = peer;
    void this.#exchange(peer);
  }

  /** Offer once for each peer connection; harmless when already done. @param {SessionState} session */
  negotiate(session) {
    this.#session = session;
    this.#joined = true;
    const peer = this.#build(session);
    if (!peer) return;
    void peer.setTracks(this.#tracks);
    const begun = peer === this.#offered;
    if (!begun) {
      this.#offered = peer;
      void this.#exchange(peer);
    }
    if (begun && peer.connected) this.#setState('connected');
    else if (this.state === 'idle') this.#setState('connecting');
    else if (!begun) this.#setState('reconnecting');
  }

  /** @param {LocalMedia['tracks']} tracks */
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

  /** @param {SessionState} session */
  #build(session) {
    if (typeof RTCPeerConnection !== 'function') return null;
    if (this.peer && this.peer.epoch >= session.epoch) return this.peer;
    this.drop();
    const peer = new Peer(session.media, session.epoch, (state) => this.#onState(peer, state));
    this.peer = peer;
    return peer;
  }

  /** @param {Peer} peer */
  async #exchange(peer) {
    try {
      const offer = await peer.offer();
      if (peer !== this.peer) return;
      const reply = await this.#channel.request({ type: 'media.offer', ...offer });
      if (peer !== this.peer) return;
      await peer.answer(reply.sdp);
      void this.#startReports(peer);
      this.#onChange();
    } catch (error) {
      if (peer !== this.peer) return;
      if (!this.#joined) {
        this.drop();
        return;
      }
      const { retryable, code } = /** @type {Partial<Refusal>} */ (error);
      if (retryable || code === 'stale_epoch') this.#rebuildIn(RETRY_MS);
      else this.#setState('failed');
    }
  }

  /** @param {Peer} peer @param {PeerState} state */
  #onState(peer, state) {
    if (peer !== this.peer) return;
    if (!this.#joined) {
      if (state === 'failed' || state === 'disconnected') this.drop();
      return;
    }
    if (state === 'connected') {
      clearTimeout(this.#patience);
      this.#setState('connected');
    } else if (state === 'disconnected') {
      this.#setState('reconnecting');
      this.#rebuildIn(PATIENCE_MS);
    } else if (state === 'failed') {
      this.#setState('reconnecting');
      this.#rebuildIn(0);
    }
  }

  /** @param {number} ms */
  #rebuildIn(ms) {
    clearTimeout(this.#patience);
    this.#patience = Number(
      setTimeout(() => {
        const session = this.#session;
        if (!session) return;
        this.drop();
        this.negotiate(session);
      }, ms),
    );
  }

  /** @param {Peer} peer */
  async #startReports(peer) {
    const { holdSound, Reporter } = await import('./report.js');
    if (peer !== this.peer) return;
    const reporter = new Reporter();
    clearInterval(this.#reports);
    this.#reports = Number(
      setInterval(async () => {
        if (!this.#joined) return;
        const slots = await reporter.measure(peer);
        holdSound(peer.connection, reporter.soundLoss);
        if (peer === this.peer && slots.length > 0) {
          this.#channel.tell({ type: 'media.report', slots });
        }
      }, REPORT_MS),
    );
  }

  /** Give the connection up: `prepare` tries only once, `negotiate` builds anew. */
  drop() {
    clearInterval(this.#reports);
    clearTimeout(this.#patience);
    const peer = this.peer;
    this.peer = null;
    this.#offered = null;
    peer?.close();
  }

  /** @param {MediaLink['state']} state */
  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.#onChange();
  }
}
