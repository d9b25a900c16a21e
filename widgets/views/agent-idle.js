import { say } from '../catalogues/words.js';
import { frameAllows } from '../media/trouble.js';
import { Avatar } from './avatar.js';
import { wordButton } from './buttons.js';
import { el, setAttr, setText, show } from './dom.js';

/** The agent before a session: who could be rung, and one button. */
export class AgentIdle {
  #avatar = new Avatar();
  #title = el('h1', {});
  #dot = el('span', { class: 'dot', 'aria-hidden': 'true' });
  #reach = el('span', {});
  #help = el('p', { class: 'fine' });
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  #video;
  #voice;
  root;

  /**
   * @param {(mode: 'video'|'voice') => Promise<unknown>} start Rejects with a sentence.
   * @param {(() => void)|null} ownWindow
   */
  constructor(start, ownWindow) {
    const own = wordButton(say('own_window'), () => ownWindow?.(), { kind: 'wide', icon: 'window' });
    const blocked = el('p', { class: 'fine trouble', text: say('trouble_blocked_by_frame') });
    const needed = ownWindow !== null && !(frameAllows('camera') && frameAllows('microphone'));
    show(own.root, needed);
    show(blocked, needed);
    /** @param {'video'|'voice'} mode */
    const run = async (mode) => {
      this.#busy(true);
      setText(this.#error, '');
      try {
        await start(mode);
      } catch (error) {
        setText(this.#error, String(error));
      }
      this.#busy(false);
    };
    this.#video = wordButton(say('start_video'), () => void run('video'), { kind: 'primary wide', icon: 'camera' });
    this.#voice = wordButton(say('start_voice'), () => void run('voice'), { kind: 'wide', icon: 'phone' });
    this.#video.root.dataset.focus = '';
    this.root = el(
      'div',
      { class: 'message idle', 'data-screen': 'idle' },
      this.#avatar.root,
      this.#title,
      el('p', { class: 'reach', role: 'status' }, this.#dot, this.#reach),
      this.#help,
      blocked,
      el('div', { class: 'actions' }, own.root, this.#video.root, this.#voice.root),
      this.#error,
    );
  }

  /** @param {{name: string, reach: string|null, spectating: boolean}} situation */
  show({ name, reach, spectating }) {
    this.#avatar.update(name || '·', null);
    setText(this.#title, say('idle_title', { name: name || say('your_visitor') }));
    setText(this.#reach, reach ? say(`reach_${reach}`) : say('connecting'));
    setAttr(this.#dot, 'data-reach', reach ?? 'unknown');
    const help = spectating ? say('spectating') : reach === 'absent' ? say('reach_absent_help') : '';
    setText(this.#help, help);
    show(this.#video.root, !spectating);
    show(this.#voice.root, !spectating);
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#video.root.disabled = busy;
    this.#voice.root.disabled = busy;
    this.#video.set(say(busy ? 'starting' : 'start_video'));
  }
}
