import { say } from '../catalogues/words.js';
import { frameAllows } from '../media/trouble.js';
import { Avatar } from './avatar.js';
import { wordButton } from './buttons.js';
import { el, setAttr, setText, show } from './dom.js';
import { Later } from './later.js';
import { errorSentence } from './trouble-sentence.js';

/**
 * @typedef {{name: string, reach: string|null, watches: boolean, ways: readonly string[], asked?: WaysChanged}} Situation
 *   `watches`: this person looks at somebody else's conversation, and starts nothing.
 */

/** The agent before a session: who could be rung, and one button. */
export class AgentIdle {
  #avatar = new Avatar();
  #title = el('h1', {});
  #dot = el('span', { class: 'dot', 'aria-hidden': 'true' });
  #reach = el('span', {});
  #line = el('p', { role: 'status' }, this.#dot, this.#reach);
  #help = el('p', { class: 'fine' });
  #ways;
  /** @type {Situation|null} */
  #situation = null;
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  #video;
  #voice;
  root;

  /**
   * @param {(mode: 'video'|'voice') => Promise<unknown>} start Rejects with a sentence.
   * @param {(message: any) => Promise<unknown>} ask Rejects with a sentence.
   * @param {(() => void)|null} ownWindow
   */
  constructor(start, ask, ownWindow) {
    this.#ways = new Later(
      () => import('./ways.js'),
      ({ Ways }) => new Ways((message) => this.#attempt(ask(message))),
      () => this.#onWays(),
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

  /** @param {Situation} situation */
  show(situation) {
    const { name, reach, watches, ways, asked } = situation;
    this.#situation = situation;
    const live = ways.length > 0;
    if (live) this.#ways.hasten((error) => setText(this.#error, errorSentence(error)));
    const { panel } = this.#ways;
    const who = name || say('your_visitor');
    panel?.update(ways, asked, who);
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

  #onWays() {
    if (!this.#situation?.ways.length) return;
    setText(this.#error, '');
    this.show(this.#situation);
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
