import { say } from '../catalogues/words.js';
import { chosenDevices } from '../media/devices.js';
import { chime } from '../media/chime.js';
import { Loudness } from '../media/loudness.js';
import { wordButton } from './buttons.js';
import { el, setText, show } from './dom.js';
import { field } from './fields.js';
import { Panel } from './panel.js';
import { troubleSentence } from './trouble-sentence.js';

const KINDS = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' };

/** Camera, microphone and speaker before or during a session: a preview, a meter, a sound, three pickers. */
export class DeviceCheck extends Panel {
  #media;
  #may;
  #mirror = el('video', { playsinline: true, autoplay: true, 'aria-hidden': 'true' });
  #off = el('p', { text: say('camera_is_off') });
  #trouble = el('p', { class: 'fine trouble', role: 'status' });
  #meter = el('div', { class: 'meter', 'aria-hidden': 'true' }, el('i'));
  /** By right. */
  #parts = { send_video: el('div', { class: 'made' }), send_audio: el('div', { class: 'made' }) };
  #loudness = new Loudness((level) => this.#meter.style.setProperty('--level', String(level)));
  #chances = 0;
  #pickers = {
    camera: el('select', { id: 'pick-camera' }),
    microphone: el('select', { id: 'pick-microphone' }),
    speaker: el('select', { id: 'pick-speaker' }),
  };

  /** @param {LocalMedia} media @param {(right: string) => boolean} [may] */
  constructor(media, may = () => true) {
    super(say(may('send_video') || !may('send_audio') ? 'devices' : 'microphone'));
    this.#media = media;
    this.#may = may;
    this.#mirror.muted = true;
    const sound = wordButton('test_sound', () => void chime(media.speaker), 'small', 'speaker');
    const done = wordButton('done', () => this.close(), 'primary small');
    const { send_video: camera, send_audio: microphone } = this.#parts;
    camera.append(el('div', { class: 'mirror' }, this.#mirror, this.#off), this.#field('camera'));
    const heard = el('div', {}, this.#trouble, this.#field('microphone'));
    microphone.append(heard, this.#meter, el('p', { class: 'fine', text: say('speak_now') }));
    this.body.append(camera, microphone, this.#field('speaker'), el('div', { class: 'row' }, sound, done));
    this.root.addEventListener('panelclose', () => this.#loudness.stop());
  }

  /** @override */
  show() {
    super.show();
    // Whoever only listens has nothing to open.
    const camera = this.#may('send_video');
    if (camera || this.#may('send_audio')) void this.#media.open(camera).then(() => this.update());
    void this.#again();
    this.update();
  }

  update() {
    if (!this.open) return;
    const { chances, mirror, tracks, troubles } = this.#media;
    // A device was plugged in.
    if (chances !== this.#chances) void this.#again();
    this.#chances = chances;
    if (this.#mirror.srcObject !== mirror) this.#mirror.srcObject = mirror;
    for (const [right, part] of Object.entries(this.#parts)) show(part, this.#may(right));
    show(this.#mirror, !!mirror);
    show(this.#off, !mirror);
    setText(this.#trouble, troubleSentence(troubles));
    this.#loudness.listen(tracks.microphone);
    void this.#list();
  }

  /** It may be here by now, or free. Who refused is not asked again. */
  async #again() {
    const { off, troubles } = this.#media;
    for (const source of /** @type {const} */ (['microphone', 'camera'])) {
      const lost = ['no_device', 'busy', 'failed'].includes(troubles[source] ?? '');
      if (lost && !off.includes(source) && !this.#media.opening) await this.#media.replace(source, {});
    }
  }

  /** @param {DeviceChoice} source */
  #field(source) {
    const picker = this.#pickers[source];
    picker.addEventListener('change', () => this.#choose(source, picker.value));
    return field(say(source), picker);
  }

  /** @param {DeviceChoice} source @param {string} deviceId */
  #choose(source, deviceId) {
    chosenDevices.set(source, deviceId);
    if (source === 'speaker') this.#media.setSpeaker(deviceId);
    else void this.#media.replace(source, { deviceId: { exact: deviceId } });
  }

  async #list() {
    const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    for (const source of /** @type {const} */ (['microphone', 'camera', 'speaker'])) {
      const devices = all.filter(({ kind, deviceId }) => kind === KINDS[source] && deviceId);
      const picker = this.#pickers[source];
      show(/** @type {HTMLElement} */ (picker.parentElement), devices.length > 0);
      const { speaker, tracks } = this.#media;
      const used = source === 'speaker' ? speaker : tracks[source]?.getSettings().deviceId;
      const chosen = used || (chosenDevices.get(source) ?? '');
      const names = JSON.stringify(devices);
      if (picker.dataset.names !== names) {
        picker.dataset.names = names;
        picker.replaceChildren(
          ...devices.map(({ deviceId, label }, index) =>
            el('option', { value: deviceId, text: label || `${say(source)} ${index + 1}` }),
          ),
        );
      }
      if (devices.some(({ deviceId }) => deviceId === chosen)) picker.value = chosen;
    }
  }
}
