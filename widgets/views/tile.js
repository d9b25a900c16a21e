import { say } from '../catalogues/words.js';
import { SlotTurn } from '../media/slot-turn.js';
import { Avatar, nameOf } from './avatar.js';
import { el, setAttr, setText, show } from './dom.js';
import { icon } from './icons.js';

/** The picture of one person: a seat, a screen, or the mirror. */
export class Tile {
  video = el('video', { playsinline: true, autoplay: true, 'aria-hidden': 'true' });
  audio = el('audio', { autoplay: true });
  #avatar = new Avatar();
  #name = el('span', { class: 'tile-name', dir: 'auto' });
  #muted = el('span', { class: 'tile-sign', title: say('muted') }, icon('microphone', true));
  #quality = el('span', { class: 'tile-quality', role: 'img' });
  #note = el('span', { class: 'tile-note' });
  /** @type {MediaStream|null} */
  #stream = null;
  #turn = new SlotTurn();
  #onTurn;
  #frames = 0;
  #seen = false;
  #still = 0;
  #timer = 0;
  root;

  /**
   * @param {'seat'|'screen'|'self'} kind @param {number} index
   * @param {() => void} onTurn What is shown has changed.
   */
  constructor(kind, index, onTurn) {
    this.kind = kind;
    this.index = index;
    this.#onTurn = onTurn;
    // Sound has a player of its own; a silent picture may start without a gesture.
    this.video.muted = true;
    this.video.onresize = () =>
      this.root.toggleAttribute('data-tall', this.video.videoHeight > this.video.videoWidth);
    if (kind === 'self') this.video.onloadeddata = onTurn;
    this.root = el(
      'li',
      { class: `tile ${kind}` },
      this.video,
      this.audio,
      el('div', { class: 'tile-blank' }, this.#avatar, this.#note),
      el('div', { class: 'tile-label' }, this.#muted, this.#name, this.#quality),
    );
  }

  /** @returns {string|null} Whom the tile shows. */
  get participant() {
    return this.#turn.shown;
  }

  /** @param {MediaStream|null} video @param {MediaStream|null} audio */
  setStreams(video, audio) {
    if (this.#stream === video) return;
    this.#stream = video;
    this.audio.srcObject = audio;
    // The last picture went with the connection.
    this.#turn.conceal(performance.now());
    if (this.video.srcObject) this.#attach();
  }

  /** @param {boolean} seen What nobody sees is not sent. */
  setSeen(seen) {
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#await();
  }

  /** A face that stands still looks like one that listens. */
  #await() {
    clearTimeout(this.#still);
    if (this.kind !== 'seat' || !this.#seen) return;
    this.#still = setTimeout(() => {
      this.#turn.conceal(performance.now());
      this.#onTurn();
    }, 3_000);
  }

  #attach() {
    this.video.srcObject = this.#stream;
    if (this.kind !== 'self') this.#watchFrames();
  }

  /** @param {SeatAssignment|undefined} seat */
  assign(seat) {
    this.#turn.assign(seat, performance.now());
    if (!this.#turn.turning || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#turn.tick(performance.now());
      this.#onTurn();
    }, 720);
  }

  /**
   * @param {RosterEntry|null} entry @param {Session} session
   * @param {boolean} [mirror] Whether it shows somebody to themselves.
   */
  update(entry, session, mirror = false) {
    show(this, entry !== null);
    if (!entry) return;
    const name = nameOf(entry);
    // With voice only no picture comes.
    const sees = session.mode !== 'voice';
    const shows = this.kind === 'screen' ? entry.screen : entry.camera;
    const sends = sees && shows;
    // One that waits for its first picture holds back the page's load event.
    if (sends && this.#stream && !this.video.srcObject) this.#attach();
    if (this.kind === 'seat' && !sends) this.#turn.conceal(performance.now());
    const picture = sends && (this.kind === 'self' ? this.video.readyState > 1 : this.#turn.picture);
    setAttr(this.root, 'data-picture', picture ? 'yes' : 'no');
    this.root.toggleAttribute('data-mirror', mirror);
    const speaking = session.speaker === entry.participant_id && this.kind !== 'screen';
    this.root.toggleAttribute('data-speaking', speaking);
    this.#avatar.update(name, entry.picture);
    const shares = this.kind === 'screen' ? say('sharing', { name }) : name;
    setText(this.#name, this.kind === 'self' ? say('you') : shares);
    show(this.#muted, this.kind !== 'screen' && !entry.microphone);
    const away = entry.attendance === 'reconnecting';
    const { quality } = session;
    const own = quality[session.participant_id];
    const line = quality[entry.participant_id];
    // Nothing is sent that one's line does not carry, and nothing comes from whose line is gone.
    const bad = own?.reason === 'bandwidth' ? own : line?.reason === 'silence' ? line : null;
    const why = bad ? qualityWords(bad) : say('waiting_picture');
    const voice = !sees && shows ? say('not_shown') : entry.mode === 'voice' ? say('voice_only') : '';
    const note = away ? say('is_back_soon') : sends && !picture ? why : voice;
    setText(this.#note, this.kind === 'self' ? '' : note);
    this.root.toggleAttribute('data-away', away);
    const grade = line?.grade ?? 'good';
    show(this.#quality, grade !== 'good' && this.kind !== 'screen');
    setAttr(this.#quality, 'data-grade', grade);
    if (line && grade !== 'good') setAttr(this.#quality, 'title', qualityWords(line));
  }

  #watchFrames(generation = ++this.#frames) {
    this.video.requestVideoFrameCallback((_now, frame) => {
      if (generation !== this.#frames) return;
      this.#await();
      const { shown, picture } = this.#turn;
      this.#turn.onFrame(frame.rtpTimestamp ?? null);
      if (shown !== this.#turn.shown || picture !== this.#turn.picture) this.#onTurn();
      this.#watchFrames(generation);
    });
  }
}

/** @param {Quality} quality */
export function qualityWords({ grade, reason }) {
  const words = say(`quality_${grade}`);
  return reason ? say('colon', { a: words, b: say(`reason_${reason}`) }) : words;
}
