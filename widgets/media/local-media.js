import { openDevice, openDevices, openScreen, rememberedDevice } from './devices.js';

/**
 * This person's microphone, camera and screen: opened once, kept from the preview through the
 * whole session. `stop()` gives the devices back.
 */
export class LocalMedia {
  /** @type {Tracks} */
  tracks = { microphone: null, camera: null, screen: null };
  /** @type {Record<Source, Trouble|null>} */
  troubles = { microphone: null, camera: null, screen: null };
  /** Whether a device is being opened: the person may be looking at the browser's question. */
  opening = false;
  /** The camera's picture, as long as there is one. @type {MediaStream|null} */
  mirror = null;
  facing = 'user';
  /** Where voices come out, by device id; else the system's choice. */
  speaker = rememberedDevice('speaker');
  /** Rises when a device is granted or plugged in: the browser may allow a speaker by now. */
  chances = 0;
  /** The names of what the person turned off: nobody else turns it on. */
  off = '';
  #onChange;
  /** @type {Promise<void>|null} */
  #opened = null;
  /** Rises with `stop()`, so that a device opened for an earlier session is given back. */
  #generation = 0;

  #onDevices = () => {
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
    return Object.values(this.tracks).some((track) => track !== null);
  }

  /** Once; later calls add, one after the other, the camera that is missing. @param {boolean} withCamera */
  open(withCamera) {
    const generation = this.#generation;
    const wanted = () => withCamera && !this.off.includes('camera');
    const addCamera = async () => {
      if (generation !== this.#generation || !wanted()) return;
      if (!this.tracks.camera && !this.troubles.camera) await this.setCamera(true);
    };
    this.#opened = this.#opened?.then(addCamera) ?? this.#openBoth(wanted());
    return this.#opened;
  }

  /** @param {boolean} withCamera */
  async #openBoth(withCamera) {
    const generation = this.#generation;
    this.opening = true;
    this.#onChange();
    const { microphone, camera } = await openDevices(withCamera);
    if (generation !== this.#generation) {
      microphone.track?.stop();
      camera.track?.stop();
      return;
    }
    this.opening = false;
    this.troubles.microphone = microphone.trouble;
    this.troubles.camera = camera.trouble;
    this.#adopt('microphone', microphone.track);
    this.#adopt('camera', camera.track);
    this.#onChange();
  }

  /** @param {boolean} on */
  async setMicrophone(on) {
    this.#turn('microphone', on);
    if (this.tracks.microphone) this.tracks.microphone.enabled = on;
    else if (on) await this.#await('microphone', openDevice('microphone'));
    this.#onChange();
  }

  /** Off gives the camera back, so that its light goes out. @param {boolean} on */
  async setCamera(on) {
    this.#turn('camera', on);
    if (on) await this.#await('camera', openDevice('camera', { facingMode: this.facing }));
    else this.#drop('camera');
    this.#onChange();
  }

  /** @param {DeviceSource} source @param {MediaTrackConstraints} wish */
  async replace(source, wish) {
    this.#drop(source);
    await this.#await(source, openDevice(source, wish));
    this.#onChange();
  }

  /** @param {string} deviceId */
  setSpeaker(deviceId) {
    this.speaker = deviceId;
    this.#onChange();
  }

  /** @param {boolean} on */
  async setScreen(on) {
    if (!on) this.#drop('screen');
    else if (!this.tracks.screen) await this.#await('screen', openScreen());
    this.#onChange();
  }

  stop() {
    this.#generation += 1;
    for (const source of /** @type {Source[]} */ (Object.keys(this.tracks))) {
      this.#drop(source);
      this.troubles[source] = null;
    }
    this.#opened = null;
    this.opening = false;
    this.#onChange();
    this.off = '';
  }

  /** @param {Source} source @param {boolean} on */
  #turn(source, on) {
    this.off = this.off.replace(source, '') + (on ? '' : source);
  }

  /** @param {Source} source @param {Promise<Opened>} opening */
  async #await(source, opening) {
    const generation = this.#generation;
    const { track, trouble } = await opening;
    if (generation !== this.#generation) {
      track?.stop();
      return;
    }
    this.troubles[source] = trouble;
    this.#adopt(source, track);
  }

  /** @param {Source} source @param {MediaStreamTrack|null} track */
  #adopt(source, track) {
    if (!track) return;
    // Turned off while the browser was asked for it.
    if (source === 'camera' && this.off.includes(source)) return track.stop();
    this.#drop(source);
    this.tracks[source] = track;
    this.chances += 1;
    if (source === 'microphone') track.enabled = !this.off.includes(source);
    if (source === 'camera') this.mirror = new MediaStream([track]);
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
      await this.#await(source, openDevice(source));
      if (this.tracks[source]) this.troubles[source] ??= 'replaced';
    }
    this.#onChange();
  }
}
