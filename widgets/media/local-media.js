import { chosenDevices, openDevice, openDevices, openScreen } from './devices.js';

/**
 * This person's devices: opened once, kept from the preview to the end. `stop()` gives them back.
 */
export class LocalMedia {
  /** @type {Tracks} */
  tracks = { microphone: null, camera: null, screen: null };
  /** @type {Record<Source, Trouble|null>} */
  troubles = { microphone: null, camera: null, screen: null };
  /** The camera's picture, as long as there is one. @type {MediaStream|null} */
  mirror = null;
  facing = 'user';
  /** Which was chosen last. @type {Wishes} */
  #wishes = {};
  /** Where voices come out, by device id; else the system's choice. */
  speaker = chosenDevices.get('speaker') ?? '';
  #chosen = this.speaker;
  /** Rises when a device is granted or plugged in: a speaker may be allowed by now. */
  chances = 0;
  /** The names of what the person turned off: nobody else turns it on. */
  off = '';
  #onChange;
  /** @type {Promise<void>|null} */
  #opened = null;
  /** New with `stop()`: what comes for the old is given back. @type {Asked} */
  #asked = {};

  #onDevices = async () => {
    const ids = (await navigator.mediaDevices.enumerateDevices()).map(({ deviceId }) => deviceId);
    // One that was unplugged is silent. None has an id before any is allowed.
    if (ids.some(Boolean)) this.speaker = ids.includes(this.#chosen) ? this.#chosen : '';
    this.chances += 1;
    this.#onChange();
  };

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    navigator.mediaDevices?.addEventListener?.('devicechange', this.#onDevices);
  }

  /** Nobody uses it any more, and nothing is open. */
  close() {
    navigator.mediaDevices?.removeEventListener?.('devicechange', this.#onDevices);
  }

  /** @returns {Publishing} What is really being sent now. */
  get publishing() {
    return {
      microphone: this.tracks.microphone !== null && !this.off.includes('microphone'),
      camera: this.tracks.camera !== null,
      screen: this.tracks.screen !== null,
    };
  }

  get live() {
    return Object.values(this.tracks).some(Boolean);
  }

  /** Whether one is being opened: the person may be looking at the browser's question. */
  get opening() {
    return !!(this.#asked.microphone ?? this.#asked.camera);
  }

  /** Once; later calls add, one after the other, the camera that is missing. @param {boolean} withCamera */
  open(withCamera) {
    const asked = this.#asked;
    const wanted = () => withCamera && !this.off.includes('camera');
    const addCamera = async () => {
      if (asked !== this.#asked || !wanted()) return;
      if (!this.tracks.camera && !this.troubles.camera && !asked.camera) await this.turn('camera', true);
    };
    this.#opened = this.#opened?.then(addCamera) ?? this.#openBoth(wanted());
    return this.#opened;
  }

  /** @param {boolean} withCamera */
  async #openBoth(withCamera) {
    const both = openDevices(withCamera);
    const all = [this.#await('microphone', both.then(({ microphone }) => microphone))];
    if (withCamera) all.push(this.#await('camera', both.then(({ camera }) => camera)));
    this.#onChange();
    await Promise.all(all);
    this.#onChange();
  }

  /** A camera that is off is given back, so that its light goes out. @param {Source} source @param {boolean} on */
  async turn(source, on) {
    this.off = this.off.replace(source, '') + (on ? '' : source);
    const track = this.tracks[source];
    if (track && source === 'microphone') track.enabled = on;
    else if (!on) this.#drop(source);
    else if (!track) await this.#ask(source);
    this.#onChange();
  }

  /** @param {DeviceSource} source @param {MediaTrackConstraints} wish */
  async replace(source, wish) {
    this.#wishes[source] = wish;
    this.#drop(source);
    if (source !== 'camera' || !this.off.includes(source)) await this.#ask(source);
    this.#onChange();
  }

  /** A phone has another at its other side. */
  turnCamera() {
    this.facing = this.facing === 'user' ? 'environment' : 'user';
    return this.replace('camera', { facingMode: { exact: this.facing }, deviceId: undefined });
  }

  /** @param {string} deviceId */
  setSpeaker(deviceId) {
    this.speaker = this.#chosen = deviceId;
    this.#onChange();
  }

  /** Turn off what of these is sent, or being asked for. @param {readonly string[]} sources */
  turnOff(sources) {
    for (const source of /** @type {readonly Source[]} */ (sources)) {
      if (this.tracks[source] || this.#asked[source]) void this.turn(source, false);
    }
  }

  stop() {
    this.#asked = {};
    for (const source of /** @type {Source[]} */ (Object.keys(this.tracks))) {
      this.#drop(source);
      this.troubles[source] = null;
    }
    this.#opened = null;
    this.#onChange();
    this.off = '';
  }

  /** Of two at once one may find its device busy, or come last though chosen first. @param {Source} source */
  async #ask(source) {
    const open = () => (source === 'screen' ? openScreen() : openDevice(source, this.#wishes[source]));
    await (this.#asked[source] ?? this.#await(source, open()));
  }

  /** @param {Source} source @param {Promise<Opened>} opening @returns {Promise<void>} */
  async #await(source, opening) {
    const asked = this.#asked;
    const wish = this.#wishes[source];
    asked[source] = opening;
    const { track, trouble } = await opening;
    if (asked !== this.#asked) return track?.stop();
    delete asked[source];
    if (wish !== this.#wishes[source]) {
      track?.stop();
      return this.#ask(source);
    }
    this.troubles[source] = trouble;
    this.#adopt(source, track);
  }

  /** @param {Source} source @param {MediaStreamTrack|null} track */
  #adopt(source, track) {
    if (!track) return;
    // Turned off while the browser was asked for it.
    if (source !== 'microphone' && this.off.includes(source)) return track.stop();
    this.#drop(source);
    this.tracks[source] = track;
    this.chances += 1;
    if (source === 'microphone') track.enabled = !this.off.includes(source);
    if (source === 'camera') {
      this.mirror = new MediaStream([track]);
      this.facing = track.getSettings().facingMode ?? this.facing;
    }
    // Fires when the device goes, not when we stop the track ourselves.
    track.addEventListener('ended', () => void this.#onEnded(source, track));
  }

  /** @param {Source} source */
  #drop(source) {
    const track = this.tracks[source];
    this.tracks[source] = null;
    if (source === 'camera') this.mirror = null;
    track?.stop();
  }

  /**
   * The device was unplugged, or the screen's own stop button pressed.
   * @param {Source} source @param {MediaStreamTrack} track
   */
  async #onEnded(source, track) {
    if (this.tracks[source] !== track) return;
    this.#drop(source);
    if (source !== 'screen') {
      await this.#ask(source);
      if (this.tracks[source]) this.troubles[source] ??= 'replaced';
    }
    this.#onChange();
  }
}
