import { errorSentence, say } from '../catalogues/words.js';
import { canTalk, videoTrouble } from '../media/trouble.js';
import { Avatar } from './avatar.js';
import { attend, wordButton } from './buttons.js';
import { el, setAttr, setText, show } from './dom.js';
import { deviceCheckLater, Later } from './later.js';

/** So long a check's devices stay open. */
const KEPT_MS = 60_000;

/** The agent before a session: who could be rung, one button for video and one for voice. Nothing is opened before one of them. */
export class AgentIdle {
  #avatar = new Avatar();
  #title = el('h1');
  #dot = el('span', { class: 'dot', 'aria-hidden': 'true' });
  #reach = el('span');
  #line = el('p', { role: 'status' }, this.#dot, this.#reach);
  #help = el('p', { class: 'fine' });
  #ways;
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  #video;
  #voice;
  #cancel;
  #check;
  #devices;
  #client;
  #kept = 0;
  #runs = false;
  #trouble = videoTrouble();
  /** What a colleague asks; else empty. */
  asked = '';
  actions;
  root;

  /**
   * @param {SessionClient} client @param {() => void} update Shows the situation anew.
   * @param {OpenWindow} ownWindow
   */
  constructor(client, update, ownWindow) {
    this.#client = client;
    /** @type {AskButton} */
    const ask = (key, kind, message) => {
      const { root } = wordButton(key, () => void attend(client.ask(message), this.#error, root), kind);
      return root;
    };
    this.#ways = new Later(
      () => import('./ways.js'),
      ({ Ways }) => new Ways(ask),
      () => {
        if (!this.#ways.root.hidden) setText(this.#error, '');
        update();
      },
    );
    const own = wordButton('own_window', () => ownWindow?.(), 'wide', 'window');
    const trouble = this.#trouble && say(`trouble_${this.#trouble}`);
    show(own, ownWindow !== null && this.#trouble === 'blocked_by_frame');
    this.#devices = deviceCheckLater(client.media, update);
    this.#devices.root.addEventListener('panelclose', () => {
      this.#kept = setTimeout(() => client.media.stop(), KEPT_MS);
    });
    const look = () => {
      clearTimeout(this.#kept);
      void attend(this.#devices.use((panel) => panel.show()), this.#error);
    };
    this.#check = wordButton('devices', look, 'plain');
    /** @param {Mode} mode */
    const run = async (mode) => {
      this.#runs = true;
      clearTimeout(this.#kept);
      if (mode === 'voice') void client.media.turn('camera', false);
      void client.media.open(mode === 'video');
      const started = client.ask({ type: 'session.start', mode }).catch((error) => {
        client.media.stop();
        client.state = { ...client.state, waits: 0 };
        if (error.code !== 'withdrawn') throw error;
      });
      const over = attend(started, this.#error);
      update();
      await over;
      this.#runs = false;
      update();
    };
    this.#video = wordButton('start_video', () => void run('video'), 'primary wide', 'camera');
    this.#voice = wordButton('start_voice', () => void run('voice'), 'wide', 'phone');
    this.#cancel = ask('cancel', 'wide', { type: 'session.end' });
    this.#cancel.hidden = true;
    const title = el('div', { role: 'status' }, this.#title);
    const help = el('p', { class: 'fine trouble', text: trouble });
    const said = el('div', { class: 'said' }, this.#avatar, title, this.#line, this.#help, help, this.#error);
    this.actions = el('div', { class: 'actions' }, own, this.#video, this.#voice, this.#cancel, this.#check, this.#ways);
    this.root = el('div', { class: 'message idle' }, said, this.actions, this.#devices);
  }

  /** @param {Idle} situation */
  show({ state, name, agent, watches }) {
    const able = canTalk(this.#trouble);
    const live = state.ways.length > 0;
    const reach = state.reach?.reach ?? null;
    if (live) this.#ways.hasten((error) => setText(this.#error, errorSentence(error)));
    const { panel } = this.#ways;
    const who = name || say('your_visitor');
    panel?.update(able ? state : { ...state, ways: [] }, who, agent);
    show(this.#line, !live);
    this.#avatar.update(name || say('role_consumer'), null);
    const title = live ? panel?.title ?? say('connecting') : say('idle_title', { name: who });
    setText(this.#title, title);
    this.asked = state.askedBy && panel ? title : '';
    show(this.#ways, live);
    const waits = state.waits > Date.now();
    const starts = this.#runs || waits;
    this.#video.root.disabled = this.#voice.root.disabled = starts;
    const reached = reach && !starts ? say(`reach_${reach}`) : say('connecting');
    setText(this.#reach, waits ? say('start_waits') : reached);
    setAttr(this.#dot, 'data-reach', waits ? 'hidden' : reach ?? 'unknown');
    const alone = watches ? say('spectating') : reach === 'absent' ? say('reach_absent_help') : '';
    setText(this.#help, live ? (able && panel?.help) || '' : alone);
    const may = able && !watches && !live;
    show(this.#video, may);
    show(this.#voice, may);
    show(this.#check, may && !waits && this.#trouble === null);
    if (this.#cancel.hidden ? waits : !starts) {
      show(this.#cancel, waits);
      if (document.hasFocus()) (waits ? this.#cancel : this.#video.root).focus();
    }
    this.#devices.panel?.update();
  }

  onClosed() {
    this.#ways.close();
    this.#devices.close();
    clearTimeout(this.#kept);
    if (!this.#client.session) this.#client.media.stop();
  }
}
