import { say } from '../catalogues/words.js';
import { may, others } from '../session/select.js';
import { wordButton } from './buttons.js';
import { el, show } from './dom.js';
import { Panel } from './panel.js';

const SHOWN = '.tile[data-picture=yes]:not(.self, [hidden])';
const LAYOUTS = ['auto', 'grid', 'speaker'];

/** What one needs now and then: voice only, layout, full screen, text, devices, ending for everybody. */
export class MorePanel extends Panel {
  #client;
  #stage;
  #items;

  /** @param {SessionClient} client @param {Stage} stage @param {MoreActions} actions */
  constructor(client, stage, actions) {
    super(say('more'));
    this.#client = client;
    this.#stage = stage;
    const { attempt, ownWindow } = actions;
    /** @param {string} key @param {string} icon @param {() => void} action */
    const item = (key, icon, action) =>
      wordButton(key, () => {
        this.close();
        action();
      }, 'item', icon);
    const items = {
      voice: item('voice_only', 'phone', () =>
        attempt(client.setMode(client.session?.mode === 'voice' ? 'video' : 'voice')),
      ),
      swap: item('switch_camera', 'swap', () => void client.media.turnCamera()),
      layout: item('layout', 'grid', () => {
        stage.layout = LAYOUTS[(LAYOUTS.indexOf(stage.layout) + 1) % LAYOUTS.length] ?? 'auto';
        actions.layoutChanged();
      }),
      full: item('full_screen', 'full', () => void toggleFullScreen()),
      picture: item('picture_in_picture', 'picture', () => void pictureInPicture(stage)),
      text: item('text', 'send', actions.text),
      devices: item('devices', 'settings', actions.devices),
      own: item('own_window', 'window', () => ownWindow?.()),
      leave: item('leave_session', 'leave', () => attempt(client.leave())),
      end: item('end_session', 'end', () => attempt(client.end())),
    };
    items.end.root.classList.add('stop');
    show(items.full, document.fullscreenEnabled);
    show(items.picture, document.pictureInPictureEnabled);
    show(items.own, ownWindow !== null);
    this.#items = items;
    this.body.append(el('div', { class: 'items' }, ...Object.values(items)));
  }

  /** @param {Session} session @param {number} unread How many written lines. */
  update(session, unread) {
    const { voice, swap, layout, text, leave, end } = this.#items;
    const what = say('text');
    text.set(unread > 0 ? say('unread', { what, count: unread }) : what);
    voice.set(say(session.mode === 'voice' ? 'with_video' : 'voice_only'));
    layout.set(say('layout', { which: say(`layout_${this.#stage.layout}`) }));
    show(layout, others(session).length > 1);
    show(swap, navigator.maxTouchPoints > 0 && this.#client.media.publishing.camera);
    for (const item of [leave, end]) show(item, may(session, 'end_for_all'));
  }
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
