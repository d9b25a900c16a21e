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
  #line = el('p', { class: 'reach', role: 'status' }, this.#dot, this.#reach);
  #help = el('p', { class: 'fine' });
  #ways = el('div', { class: 'actions', hidden: true });
  #shownWays = '';
  #join;
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  #video;
  #voice;
  root;

  /**
   * @param {(mode: 'video'|'voice') => Promise<unknown>} start Rejects with a sentence.
   * @param {(way: string) => Promise<unknown>} join Rejects with a sentence.
   * @param {(() => void)|null} ownWindow
   */
  constructor(start, join, ownWindow) {
    this.#join = join;
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
      this.#ways,
      this.#error,
    );
  }

  /**
   * @param {{name: string, reach: string|null, watches: boolean, ways: readonly string[]}} situation
   *   `watches`: this person looks at somebody else's conversation, and starts nothing.
   */
  show({ name, reach, watches, ways }) {
    const live = ways.length > 0;
    show(this.#line, !live);
    this.#avatar.update(name || '·', null);
    const who = name || say('your_visitor');
    setText(this.#title, say(live ? 'ways_title' : 'idle_title', { name: who }));
    this.#showWays(ways);
    setText(this.#reach, reach ? say(`reach_${reach}`) : say('connecting'));
    setAttr(this.#dot, 'data-reach', reach ?? 'unknown');
    const alone = watches ? say('spectating') : reach === 'absent' ? say('reach_absent_help') : '';
    setText(this.#help, live ? say('ways_help') : alone);
    show(this.#video.root, !watches && !live);
    show(this.#voice.root, !watches && !live);
  }

  /** @param {readonly string[]} ways */
  #showWays(ways) {
    show(this.#ways, ways.length > 0);
    if (ways.join() === this.#shownWays) return;
    this.#shownWays = ways.join();
    const buttons = ways.map((way, index) => {
      const go = async () => {
        button.root.disabled = true;
        await this.#attempt(this.#join(way));
        button.root.disabled = false;
      };
      const button = wordButton(say(`way_${way}`), () => void go(), {
        kind: index === 0 ? 'primary wide' : 'wide',
      });
      return button.root;
    });
    this.#ways.replaceChildren(...buttons);
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
