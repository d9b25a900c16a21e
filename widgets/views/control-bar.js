import { say } from '../catalogues/words.js';
import { canShare } from '../media/trouble.js';
import { ends, may } from '../session/select.js';
import { iconButton } from './buttons.js';
import { el, setAttr, show } from './dom.js';

/** What one reaches for during a session; end always stands at the same place. */
export class ControlBar {
  #client;
  #buttons;
  root;

  /** @param {SessionClient} client @param {ControlActions} actions */
  constructor(client, actions) {
    this.#client = client;
    const { media } = client;
    this.#buttons = {
      microphone: iconButton('microphone', () => void media.turn('microphone', !media.publishing.microphone)),
      camera: iconButton('camera', () => actions.attempt(this.#toggleCamera())),
      screen: iconButton('screen', () => void media.turn('screen', !media.publishing.screen)),
      people: iconButton('people', actions.people),
      more: iconButton('more', actions.more),
      end: iconButton('end', actions.end, 'danger'),
    };
    this.#buttons.microphone.root.dataset.focus = '';
    const buttons = Object.values(this.#buttons);
    this.root = el('div', { class: 'bar', role: 'toolbar', 'aria-label': say('controls') }, ...buttons);
    this.root.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** @param {Session} session @param {number} unread How many written lines. */
  update(session, unread) {
    const { microphone, camera, screen, people, more, end } = this.#buttons;
    const { publishing: on } = this.#client.media;
    microphone.set(say(on.microphone ? 'microphone_on' : 'microphone_off'), on.microphone);
    camera.set(say(on.camera ? 'camera_on' : 'camera_off'), on.camera);
    screen.set(say(on.screen ? 'screen_on' : 'screen_off'));
    screen.root.toggleAttribute('data-active', on.screen);
    microphone.root.disabled = !may(session, 'send_audio');
    camera.root.disabled = !may(session, 'send_video');
    show(screen, may(session, 'send_screen') && canShare());
    end.set(say(ends(session) ? 'end' : 'leave'));
    const count = session.roster.filter(({ attendance }) => attendance === 'lobby' && may(session, 'admit')).length;
    mark(people, count, say(count > 0 ? 'people_waiting' : 'people', { count }));
    const what = say('more');
    mark(more, unread, unread > 0 ? say('unread', { what, count: unread }) : what);
  }

  /** Turning the camera on in a voice session asks for video first. */
  async #toggleCamera() {
    const { media, session } = this.#client;
    const on = !media.publishing.camera;
    if (on && session?.mode === 'voice') await this.#client.setMode('video');
    if (may(this.#client.session, 'send_video')) await media.turn('camera', on);
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
  setAttr(root, 'data-count', count ? `${count}` : null);
  set(name);
}
