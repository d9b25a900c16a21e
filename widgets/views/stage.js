import { say } from '../catalogues/words.js';
import { entryOf, others, ownEntry } from '../session/select.js';
import { el, setAttr, show } from './dom.js';
import { wordButton } from './buttons.js';
import { loadStyles } from './later.js';
import { Tile } from './tile.js';

const NOT_SELF = Object.freeze({ mirror: false, hasPicture: null });

/** Everybody's pictures: one to one, grid, speaker with a strip, shared screen. */
export class Stage {
  /** What the person chose: `auto`, `grid` or `speaker`. */
  layout = 'auto';
  #client;
  #list = el('ul', { class: 'tiles', 'aria-label': say('stage') });
  #self;
  /** @type {Tile[]} */
  #seats = [];
  /** @type {Tile[]} */
  #screens = [];
  /** @type {Peer|null} */
  #peer = null;
  #sound = wordButton(say('sound_blocked'), () => this.#play(), { kind: 'primary', icon: 'speaker' });
  #speaker = '';
  /** The speaker that the browser refused last. */
  #refused = '';
  #measured = '';
  #sizes = new ResizeObserver(() => this.#reportSizes());
  #sizeTimer = 0;
  /** Which tiles show somebody. */
  #occupied = '';
  root;

  /** @param {SessionClient} client */
  constructor(client) {
    this.#client = client;
    this.#self = new Tile('self', 0, () => {});
    this.#list.append(this.#self.root);
    this.#sound.root.classList.add('sound');
    this.#sound.root.hidden = true;
    this.root = el('div', { class: 'stage' }, this.#list, this.#sound.root);
  }

  /** @param {SessionState} session */
  update(session) {
    this.#adopt(this.#client.peer);
    for (const tile of [...this.#seats, ...this.#screens]) {
      const seat = session.seats[`${tile.kind}:${tile.index}`];
      tile.assign(seat);
      const entry = entryOf(session, tile.participant);
      const there = entry && entry.attendance !== 'left' && entry.attendance !== 'lobby';
      const visible = there && (tile.kind === 'seat' || entry.screen);
      tile.update(visible ? entry : null, session, NOT_SELF);
    }
    this.#updateSelf(session);
    this.#route();
    this.#arrange(session);
    const occupied = this.#shown().map(({ kind, index }) => `${kind}${index}`).join();
    if (this.#measured === '' || occupied !== this.#occupied) this.#reportSizes();
    this.#occupied = occupied;
  }

  #shown() {
    return [...this.#seats, ...this.#screens].filter((tile) => !tile.root.hidden);
  }

  /** Let every voice come out where the person chose, as soon as the browser lets them. */
  #route() {
    const { speaker, chances } = this.#client.media;
    const wish = `${speaker} ${chances}`;
    if (wish === this.#refused) return;
    for (const { audio } of this.#seats) {
      if (audio.sinkId === speaker) continue;
      void audio.setSinkId?.(speaker).catch(() => {
        this.#refused = wish;
      });
    }
  }

  /** @param {SessionState} session */
  #updateSelf(session) {
    const { media } = this.#client;
    const own = ownEntry(session);
    this.#self.setStreams(media.mirror, null);
    const entry = own && { ...own, microphone: media.publishing.microphone };
    const mirror = media.facing === 'user';
    this.#self.update(entry, session, { mirror, hasPicture: media.tracks.camera !== null });
    if (media.mirror && this.#self.video.paused) void this.#self.video.play().catch(() => {});
  }

  /** @param {Peer|null} peer */
  #adopt(peer) {
    if (peer === this.#peer) return;
    this.#peer = peer;
    this.#fill('seat', this.#seats, peer?.seats ?? []);
    this.#fill('screen', this.#screens, peer?.screens ?? []);
    this.#measured = '';
    this.#play();
  }

  /** @param {'seat'|'screen'} kind @param {Tile[]} tiles @param {Peer['seats'|'screens']} streams */
  #fill(kind, tiles, streams) {
    while (tiles.length < streams.length) {
      const tile = new Tile(kind, tiles.length, () => {
        if (this.#client.session) this.update(this.#client.session);
      });
      tile.root.hidden = true;
      this.#sizes.observe(tile.root);
      this.#list.insertBefore(tile.root, this.#self.root);
      tiles.push(tile);
    }
    tiles.forEach((tile, index) => {
      const { video = null, audio = null } = streams[index] ?? {};
      tile.setStreams(video, audio);
    });
  }

  /** Start every player; when the browser wants a gesture before sound, say so. */
  #play() {
    show(this.#sound.root, false);
    for (const { video, audio } of [...this.#seats, ...this.#screens]) {
      if (video.srcObject) video.play().catch(() => {});
      if (!audio.srcObject) continue;
      audio.play().catch((error) => {
        if (error?.name === 'NotAllowedError') show(this.#sound.root, true);
      });
    }
  }

  /** @param {SessionState} session */
  #arrange(session) {
    const people = others(session).length;
    const screen = this.#screens.find((tile) => !tile.root.hidden);
    let arrangement = people <= 1 ? 'one' : 'grid';
    if (screen) arrangement = 'screen';
    else if (people > 1 && this.layout === 'speaker') arrangement = 'speaker';
    else if (people === 1 && this.layout === 'grid') arrangement = 'grid';
    // Without them the tiles still stand in a plain grid.
    if (arrangement !== 'one') void loadStyles().catch(() => {});
    setAttr(this.root, 'data-layout', arrangement);
    setAttr(this.root, 'data-people', String(people));
    const spoke = session.speaker;
    if (spoke && this.#seats.some((tile) => tile.participant === spoke)) this.#speaker = spoke;
    const shown = this.#seats.filter((tile) => !tile.root.hidden);
    const speaker = shown.find((tile) => tile.participant === this.#speaker) ?? shown[0];
    const main = screen ?? (arrangement === 'grid' ? null : speaker);
    for (const tile of [...this.#seats, ...this.#screens, this.#self]) {
      setAttr(tile.root, 'data-main', tile === main ? '' : null);
    }
    const tiles = shown.length + (people > 1 || this.layout === 'grid' ? 1 : 0);
    setAttr(this.#list, 'data-count', String(Math.max(1, tiles)));
    this.#list.style.setProperty('--strip', String(Math.max(1, shown.length + (screen ? 1 : 0))));
  }

  /**
   * The relay sends no more than what is shown. Empty tiles are left out: a size of nothing would
   * pause whoever comes, until the next layout, and a page behind another is not laid out at all.
   */
  #reportSizes() {
    clearTimeout(this.#sizeTimer);
    this.#sizeTimer = Number(
      setTimeout(() => {
        if (!this.#client.peer?.answered) return;
        const scale = globalThis.devicePixelRatio || 1;
        const slots = this.#shown().map(({ kind, index, root }) => ({
          kind,
          index,
          width: Math.min(16_384, Math.round(root.clientWidth * scale)),
          height: Math.min(16_384, Math.round(root.clientHeight * scale)),
        }));
        const text = JSON.stringify(slots);
        if (slots.length === 0 || text === this.#measured) return;
        this.#measured = text;
        this.#client.view(slots);
      }, 250),
    );
  }
}
