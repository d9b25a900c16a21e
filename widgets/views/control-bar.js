import { say } from '../catalogues/words.js';
import { frameAllows } from '../media/trouble.js';
import { ends, may } from '../session/select.js';
import { iconButton } from './buttons.js';
import { el, setAttr, show } from './dom.js';

/** What one reaches for during a session; end keeps its place. */
export class ControlBar {
  #client;
  #microphone;
  #camera;
  #screen;
  #people;
  #more;
  #end;
  root;

  /** @param {SessionClient} client @param {ControlActions} actions */
  constructor(client, actions) {
    this.#client = client;
    const { media } = client;
    const mute = () => void media.setMicrophone(!media.publishing.microphone);
    this.#microphone = iconButton('microphone', mute);
    this.#camera = iconButton('camera', () => actions.attempt(this.#toggleCamera()));
    this.#screen = iconButton('screen', () => void media.setScreen(!media.publishing.screen));
    this.#people = iconButton('people', actions.people);
    this.#more = iconButton('more', actions.more);
    this.#end = iconButton('end', actions.end, 'danger');
    const buttons = [this.#microphone, this.#camera, this.#screen, this.#people, this.#more, this.#end];
    this.root = el('div', { class: 'bar', role: 'toolbar', 'aria-label': say('controls') }, ...buttons);
    this.root.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** @param {Session} session @param {number} unread How many written lines. */
  update(session, unread) {
    const { publishing } = this.#client.media;
    const { microphone, camera, screen } = publishing;
    this.#microphone.set(say(microphone ? 'microphone_on' : 'microphone_off'), microphone);
    this.#camera.set(say(camera ? 'camera_on' : 'camera_off'), camera);
    this.#screen.set(say(screen ? 'screen_on' : 'screen_off'));
    this.#screen.root.toggleAttribute('data-active', screen);
    this.#microphone.root.disabled = !may(session, 'send_audio');
    this.#camera.root.disabled = !may(session, 'send_video');
    const canShare = 'getDisplayMedia' in (navigator.mediaDevices ?? {});
    show(this.#screen, may(session, 'send_screen') && canShare && frameAllows('display-capture'));
    this.#end.set(say(ends(session) ? 'end' : 'leave'));
    const waiting = session.roster.filter(({ attendance }) => attendance === 'lobby');
    const count = may(session, 'admit') ? waiting.length : 0;
    mark(this.#people, count, say(count > 0 ? 'people_waiting' : 'people', { count }));
    const what = say('more');
    mark(this.#more, unread, unread > 0 ? say('unread', { what, count: unread }) : what);
  }

  /** Turning the camera on in a voice session asks for video first. */
  async #toggleCamera() {
    const { media, session } = this.#client;
    if (!media.publishing.camera && session?.mode === 'voice') await this.#client.setMode('video');
    else await media.setCamera(!media.publishing.camera);
  }

  /** Arrow keys walk along the bar. @param {KeyboardEvent} event */
  #onKey(event) {
    const step = Number(event.key === 'ArrowRight') - Number(event.key === 'ArrowLeft');
    if (step === 0) return;
    const buttons = [...this.root.querySelectorAll('button:enabled:not([hidden])')];
    const at = buttons.indexOf(/** @type {Element} */ (document.activeElement));
    const next = buttons.at((at + (document.dir === 'rtl' ? -step : step)) % buttons.length);
    /** @type {HTMLElement} */ (next).focus();
    event.preventDefault();
  }
}

/** @param {IconButton} button @param {number} count @param {string} name */
function mark({ root, set }, count, name) {
  setAttr(root, 'data-count', count > 0 ? String(count) : null);
  set(name);
}
