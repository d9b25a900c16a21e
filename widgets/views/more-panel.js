import { say } from '../catalogues/words.js';
import { may, others } from '../session/select.js';
import { wordButton } from './buttons.js';
import { el, show } from './dom.js';
import { Panel } from './panel.js';

const SHOWN = '.tile[data-picture=yes]:not(.self, [hidden])';
const LAYOUTS = ['auto', 'grid', 'speaker'];

/** What one needs now and then. */
export class MorePanel extends Panel {
  #client;
  #voice;
  #swap;
  #layout;
  #leave;
  #end;
  #stage;
  #text;

  /** @param {SessionClient} client @param {Stage} stage @param {MoreActions} actions */
  constructor(client, stage, actions) {
    super(say('more'));
    this.#client = client;
    this.#stage = stage;
    /** @param {string} key @param {string} icon @param {() => void} action */
    const item = (key, icon, action) =>
      wordButton(say(key), () => {
        this.close();
        action();
      }, { kind: 'item', icon });
    const { media } = client;
    this.#voice = item('voice_only', 'phone', () =>
      actions.attempt(client.setMode(client.session?.mode === 'voice' ? 'video' : 'voice')),
    );
    this.#swap = item('switch_camera', 'swap', () => void switchCamera(media));
    this.#layout = item('layout', 'grid', () => {
      stage.layout = LAYOUTS[(LAYOUTS.indexOf(stage.layout) + 1) % LAYOUTS.length] ?? 'auto';
      actions.layoutChanged();
    });
    const full = item('full_screen', 'full', () => void toggleFullScreen());
    const picture = item('picture_in_picture', 'picture', () => void pictureInPicture(stage));
    this.#text = item('text', 'send', actions.text);
    const devices = item('devices', 'settings', actions.devices);
    const own = item('own_window', 'window', () => actions.ownWindow?.());
    this.#leave = item('leave_session', 'leave', () => actions.attempt(client.leave()));
    this.#end = item('end_session', 'end', () => actions.attempt(client.end()));
    this.#end.root.classList.add('stop');
    show(full.root, document.fullscreenEnabled);
    show(picture.root, document.pictureInPictureEnabled === true);
    show(own.root, actions.ownWindow !== null);
    const items = [this.#voice, this.#swap, this.#layout, full, picture, this.#text, devices, own, this.#leave, this.#end];
    this.body.append(el('div', { class: 'items' }, ...items.map(({ root }) => root)));
  }

  /** @param {SessionState} session @param {number} unread How many written lines. */
  update(session, unread) {
    const what = say('text');
    this.#text.set(unread > 0 ? say('unread', { what, count: unread }) : what);
    this.#voice.set(say(session.mode === 'voice' ? 'video_again' : 'voice_only'));
    this.#layout.set(say('layout', { which: say(`layout_${this.#stage.layout}`) }));
    show(this.#layout.root, others(session).length > 1);
    const touch = navigator.maxTouchPoints > 0;
    show(this.#swap.root, touch && this.#client.media.publishing.camera);
    const ends = may(session, 'end_for_all');
    show(this.#end.root, ends);
    show(this.#leave.root, ends);
  }
}

/** Front and back camera of a phone. @param {LocalMedia} media */
async function switchCamera(media) {
  media.facing = media.facing === 'user' ? 'environment' : 'user';
  await media.replace('camera', { facingMode: { ideal: media.facing }, deviceId: undefined });
}

async function toggleFullScreen() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen().catch(() => {});
}

/** For the picture worth a window of its own. @param {Stage} stage */
async function pictureInPicture({ root }) {
  if (document.pictureInPictureElement) return document.exitPictureInPicture();
  /** @type {HTMLVideoElement|null} */
  const video = root.querySelector(`${SHOWN}[data-main] video`) ?? root.querySelector(`${SHOWN} video`);
  await video?.requestPictureInPicture?.().catch(() => {});
}
