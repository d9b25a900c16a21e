import { say } from '../catalogues/words.js';
import { frameAllows } from '../media/trouble.js';
import { Avatar } from './avatar.js';
import { wordButton } from './buttons.js';
import { el, setAttr, setText, show } from './dom.js';
import { Later } from './later.js';
import { errorSentence } from './trouble-sentence.js';

/** The agent before a session: who could be rung, and one button. */
export class AgentIdle {
  #avatar = new Avatar();
  #title = el('h1', {});
  #dot = el('span', { class: 'dot', 'aria-hidden': 'true' });
  #reach = el('span', {});
  #line = el('p', { role: 'status' }, this.#dot, this.#reach);
  #help = el('p', { class: 'fine' });
  #ways;
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  #video;
  #voice;
  root;

  /**
   * @param {(mode: 'video'|'voice') => Promise<unknown>} start Rejects with a sentence.
   * @param {(message: any) => Promise<unknown>} ask Rejects with a sentence.
   * @param {() => void} update Shows the situation anew.
   * @param {(() => void)|null} ownWindow
   */
  constructor(start, ask, update, ownWindow) {
    this.#ways = new Later(
      () => import('./ways.js'),
      ({ Ways }) => new Ways((message) => this.#attempt(ask(message))),
      () => {
        if (!this.#ways.root.hidden) setText(this.#error, '');
        update();
      },
    );
    const own = wordButton(say('own_window'), () => ownWindow?.(), { kind: 'wide', icon: 'window' });
    const blocked = el('p', { class: 'fine trouble', text: say('trouble_blocked_by_frame') });
    const needed = ownWindow !== null && !(frameAllows('camera') && frameAllows('microphone'));
    show(own.root, needed);
    show(blocked, needed);
    /** @param {'video'|'voice'} mode */
    const run = async (mode) => {
      this.#busy(true);
      await this.#attempt(start(mode));
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
      this.#line,
      this.#help,
      blocked,
      el('div', { class: 'actions' }, own.root, this.#video.root, this.#voice.root),
      this.#ways.root,
      this.#error,
    );
  }

  /**
   * @param {WidgetState} state @param {string} name The consumer's; may be empty.
   * @param {boolean} watches This person looks at somebody else's conversation, and starts nothing.
   */
  show(state, name, watches) {
    const live = state.ways.length > 0;
    const reach = state.reach?.reach ?? null;
    if (live) this.#ways.hasten((error) => setText(this.#error, errorSentence(error)));
    const { panel } = this.#ways;
    const who = name || say('your_visitor');
    panel?.update(state, who);
    show(this.#line, !live);
    this.#avatar.update(name || '·', null);
    setText(this.#title, live ? panel?.title ?? say('connecting') : say('idle_title', { name: who }));
    show(this.#ways.root, live);
    setText(this.#reach, reach ? say(`reach_${reach}`) : say('connecting'));
    setAttr(this.#dot, 'data-reach', reach ?? 'unknown');
    const alone = watches ? say('spectating') : reach === 'absent' ? say('reach_absent_help') : '';
    setText(this.#help, live ? (panel ? say('ways_help') : '') : alone);
    show(this.#video.root, !watches && !live);
    show(this.#voice.root, !watches && !live);
  }

  onClosed() {
    this.#ways.close();
  }

  /** @param {Promise<unknown>} asked */
  async #attempt(asked) {
    setText(this.#error, '');
    try {
      await asked;
    } catch (error) {
      setText(this.#error, String(error));
    }
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#video.root.disabled = busy;
    this.#voice.root.disabled = busy;
    this.#video.set(say(busy ? 'starting' : 'start_video'));
  }
}
