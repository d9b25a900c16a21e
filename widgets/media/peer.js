import { randomText } from '../channel/channel.js';
import { addSections } from './sections.js';

const SOURCES = /** @type {Source[]} */ (['microphone', 'camera', 'screen']);

/**
 * One RTCPeerConnection to the relay, offered before any device is open: tracks come and go without
 * negotiation. `close()` leaves them with `LocalMedia`.
 */
export class Peer {
  id = randomText(12);
  /**
   * For players apart: one with both waits for a picture before it sounds. The receivers keep lip
   * sync, as their tracks share a stream in the answer.
   * @type {{audio: MediaStream, video: MediaStream}[]}
   */
  seats;
  screens;
  connection;
  /** Whether the relay's answer is in place. */
  answered = false;
  sections;
  #changed = Promise.resolve();

  /** @param {MediaLimits} limits @param {number} epoch @param {(state: PeerState) => void} onState */
  constructor(limits, epoch, onState) {
    this.epoch = epoch;
    this.connection = new RTCPeerConnection({
      iceServers: limits.ice_servers.map(({ urls, username, credential }) =>
        username && credential ? { urls, username, credential } : { urls },
      ),
      iceTransportPolicy: limits.relay_only ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
    });
    this.sections = addSections(this.connection, limits);
    /** @param {RTCRtpTransceiver} section */
    const received = ({ receiver }) => new MediaStream([receiver.track]);
    this.seats = this.sections.seats.map(({ audio, video }) => ({
      audio: received(audio),
      video: received(video),
    }));
    this.screens = this.sections.screens.map((video) => ({ audio: null, video: received(video) }));
    this.connection.onconnectionstatechange = () => onState(this.connection.connectionState);
  }

  get connected() {
    return this.connection.connectionState === 'connected';
  }

  /** The fields of `media.offer`. @returns {Promise<Record<string, unknown>>} */
  async offer() {
    await this.connection.setLocalDescription();
    // No candidate is waited for: the relay finds the widget by its first check.
    const { send, seats, screens } = this.sections;
    return {
      transport_id: this.id,
      epoch: this.epoch,
      sdp: this.connection.localDescription?.sdp,
      publish: SOURCES.map((source) => ({ mid: send[source].mid, source })),
      seats: seats.map(({ audio, video }) => ({ audio_mid: audio.mid, video_mid: video.mid })),
      screens: screens.map(({ mid }) => mid),
    };
  }

  /** @param {string} sdp */
  async answer(sdp) {
    await this.connection.setRemoteDescription({ type: 'answer', sdp });
    this.answered = true;
  }

  /** @param {Tracks} tracks */
  async setTracks(tracks) {
    await Promise.all(
      SOURCES.map(async (source) => {
        const { sender } = this.sections.send[source];
        if (sender.track !== tracks[source]) await sender.replaceTrack(tracks[source]);
      }),
    );
  }

  /**
   * Turn encodings nobody needs off, and back on; one change after the other, or Chromium refuses it.
   * @param {string} source @param {readonly string[]} rids
   */
  setLayers(source, rids) {
    const change = async () => {
      const sender = this.sections.send[/** @type {Source} */ (source)]?.sender;
      const parameters = sender?.getParameters();
      const layered = parameters?.encodings.filter(({ rid }) => rid) ?? [];
      for (const encoding of layered) encoding.active = rids.includes(encoding.rid ?? '');
      if (layered.length > 0) await sender?.setParameters(parameters);
    };
    this.#changed = this.#changed.then(change).catch(() => {});
  }

  close() {
    this.connection.onconnectionstatechange = null;
    this.connection.close();
  }
}
