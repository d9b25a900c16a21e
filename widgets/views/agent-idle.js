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
  /** What a colleague asks; else empty. */
  asked = '';
  root;

  /**
   * @param {SessionClient} client @param {() => void} update Shows the situation anew.
   * @param {OpenWindow} ownWindow
   */
  constructor(client, update, ownWindow) {
    this.#ways = new Later(
      () => import('./ways.js'),
      ({ Ways }) => new Ways(client, (asked) => this.#attempt(asked)),
      () => {
        if (!this.#ways.root.hidden) setText(this.#error, '');
        update();
      },
    );
    const own = wordButton(say('own_window'), () => ownWindow?.(), { kind: 'wide', icon: 'window' });
    const blocked = el('p', { class: 'fine trouble', text: say('trouble_blocked_by_frame') });
    const needed = ownWindow !== null && !(frameAllows('camera') && frameAllows('microphone'));
    own.root.hidden = blocked.hidden = !needed;
    /** @param {'video'|'voice'} mode */
    const run = async (mode) => {
      this.#busy(true);
      void client.media.open(mode === 'video');
      await this.#attempt(
        client.ask({ type: 'session.start', mode }).catch((error) => {
          client.media.stop();
          throw error;
        }),
      );
      this.#busy(false);
    };
    this.#video = wordButton(say('start_video'), () => void run('video'), { kind: 'primary wide', icon: 'camera' });
    this.#voice = wordButton(say('start_voice'), () => void run('voice'), { kind: 'wide', icon: 'phone' });
    this.#video.root.dataset.focus = '';
    this.root = el(
      'div',
      { class: 'message idle' },
      this.#avatar.root,
      el('div', { role: 'status' }, this.#title),
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
   * @param {string} agent The colleague whose conversation it is; may be empty.
   * @param {boolean} watches This person looks at somebody else's conversation, and starts nothing.
   */
  show(state, name, agent, watches) {
    const live = state.ways.length > 0;
    const reach = state.reach?.reach ?? null;
    if (live) this.#ways.hasten((error) => setText(this.#error, errorSentence(error)));
    const { panel } = this.#ways;
    const who = name || say('your_visitor');
    panel?.update(state, who, agent);
    show(this.#line, !live);
    this.#avatar.update(name || say('role_consumer'), null);
    const title = live ? panel?.title ?? say('connecting') : say('idle_title', { name: who });
    setText(this.#title, title);
    this.asked = state.askedBy && panel ? title : '';
    show(this.#ways.root, live);
    setText(this.#reach, reach ? say(`reach_${reach}`) : say('connecting'));
    setAttr(this.#dot, 'data-reach', reach ?? 'unknown');
    const alone = watches ? say('spectating') : reach === 'absent' ? say('reach_absent_help') : '';
    setText(this.#help, live ? panel?.help ?? '' : alone);
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
      setText(this.#error, errorSentence(error));
    }
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#video.root.disabled = busy;
    this.#voice.root.disabled = busy;
    this.#video.set(say(busy ? 'starting' : 'start_video'));
  }
}
