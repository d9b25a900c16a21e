import { say } from '../catalogues/words.js';
import { entryOf, others, ownEntry } from '../session/select.js';
import { el, setAttr, show } from './dom.js';
import { wordButton } from './buttons.js';
import { loadStyles } from './later.js';
import { Tile } from './tile.js';

/** Everybody's pictures: one to one, grid, speaker with a strip, shared screen. */
export class Stage {
  /** What the person chose: `auto`, `grid` or `speaker`. */
  layout = 'auto';
  #client;
  #list = el('ul', { class: 'tiles', 'aria-label': say('stage') });
  #self = new Tile('self', 0, () => this.#turned());
  /** Seats and screens. @type {Tile[]} */
  #tiles = [];
  /** @type {Peer|null} */
  #peer = null;
  #sound = wordButton('sound_blocked', () => this.#play(), 'primary sound', 'speaker');
  /** Who stands out. @type {string|null} */
  #speaker = null;
  /** The speaker that the browser refused last. */
  #refused = '';
  #measured = '';
  /** @type {object|null} */
  #toldBy = null;
  #sizes = new ResizeObserver(() => this.#reportSizes());
  #sizeTimer = 0;
  /** The last open sheet, which covers pictures by its size. @type {Element|null} */
  #sheet = null;
  /** Whether any of it is in sight: a page that hides the frame tells it nothing. */
  #inSight = true;
  #sight = new IntersectionObserver((seen) => {
    this.#inSight = seen.at(-1)?.isIntersecting !== false;
    this.#reportSizes();
  });
  root;

  /** @param {SessionClient} client */
  constructor(client) {
    this.#client = client;
    this.#list.append(this.#self.root);
    this.#list.addEventListener('leavepictureinpicture', () => this.#reportSizes());
    this.#sound.root.hidden = true;
    this.root = el('div', { class: 'stage' }, this.#list, this.#sound.root);
    this.#sight.observe(this.root);
  }

  /** @param {Session} session */
  update(session) {
    this.#adopt(this.#client.peer);
    // Who has a device open by now may hear without a gesture.
    if (!this.#sound.root.hidden) this.#play();
    for (const tile of this.#tiles) {
      tile.assign(session.seats[`${tile.kind}:${tile.index}`]);
      const entry = entryOf(session, tile.participant);
      const visible = entry && entry.attendance !== 'lobby' && (tile.kind === 'seat' || entry.screen);
      tile.update(visible ? entry : null, session);
    }
    this.#updateSelf(session);
    this.#route();
    this.#arrange(session);
    this.#reportSizes();
  }

  onClosed() {
    clearTimeout(this.#sizeTimer);
    this.#sizes.disconnect();
    this.#sight.disconnect();
  }

  #turned() {
    if (this.#client.session && this.root.isConnected) this.update(this.#client.session);
  }

  /** Let every voice come out where the person chose, as soon as it may. */
  #route() {
    const { speaker, chances } = this.#client.media;
    const wish = `${speaker} ${chances}`;
    if (wish === this.#refused) return;
    for (const { audio } of this.#tiles) {
      if (audio.sinkId === speaker) continue;
      void audio.setSinkId?.(speaker).catch(() => {
        this.#refused = wish;
      });
    }
  }

  /** @param {Session} session */
  #updateSelf(session) {
    const { media } = this.#client;
    const own = ownEntry(session);
    this.#self.setStreams(media.mirror, null);
    const entry = own && { ...own, microphone: media.publishing.microphone, camera: !!media.tracks.camera };
    this.#self.update(entry, session, media.facing === 'user');
    if (media.mirror && this.#self.video.paused) void this.#self.video.play().catch(() => {});
  }

  /** @param {Peer|null} peer */
  #adopt(peer) {
    if (peer === this.#peer) return;
    this.#peer = peer;
    this.#measured = '';
    this.#fill('seat', peer?.seats ?? []);
    this.#fill('screen', peer?.screens ?? []);
    this.#play();
  }

  /** @param {'seat'|'screen'} kind @param {Peer['seats'|'screens']} streams */
  #fill(kind, streams) {
    const tiles = this.#tiles.filter((tile) => tile.kind === kind);
    while (tiles.length < streams.length) {
      const tile = new Tile(kind, tiles.length, () => this.#turned());
      tile.root.hidden = true;
      this.#sizes.observe(tile.root);
      this.#self.root.before(tile.root);
      this.#tiles.push(tile);
      tiles.push(tile);
    }
    for (const tile of tiles) {
      const { video = null, audio = null } = streams[tile.index] ?? {};
      tile.setStreams(video, audio);
    }
  }

  /** Start every player, and say so where sound takes a gesture. */
  #play() {
    for (const { video, audio } of this.#tiles) {
      if (video.srcObject) video.play().catch(() => {});
      if (!audio.srcObject) continue;
      audio.play().then(() => show(this.#sound, false), (error) => {
        if (error?.name === 'NotAllowedError') show(this.#sound, true);
      });
    }
  }

  /** @param {Session} session */
  #arrange(session) {
    const people = others(session).length;
    const shown = this.#tiles.filter((tile) => !tile.root.hidden);
    const seats = shown.filter((tile) => tile.kind === 'seat');
    const screen = shown.find((tile) => tile.kind === 'screen');
    let arrangement = seats.length > 1 || (people > 0 && this.layout === 'grid') ? 'grid' : 'one';
    if (screen) arrangement = 'screen';
    else if (people > 1 && this.layout === 'speaker') arrangement = 'speaker';
    const grid = arrangement === 'grid';
    // Without them they stand in a plain grid.
    if (arrangement !== 'one') void loadStyles('tiles').catch(() => {});
    setAttr(this.root, 'data-layout', arrangement);
    setAttr(this.root, 'data-seats', String(seats.length));
    /** @param {string|null} id */
    const seatOf = (id) => seats.find((tile) => tile.participant === id);
    const speaker = seatOf(session.speaker) ?? seatOf(this.#speaker) ?? seats[0];
    this.#speaker = speaker?.participant ?? null;
    const main = screen ?? (grid ? null : speaker);
    for (const tile of this.#tiles) tile.root.toggleAttribute('data-main', tile === main);
    const strip = Math.max(1, shown.length);
    const count = grid ? shown.length + 1 : strip;
    setAttr(this.#list, 'data-count', String(count));
    // A strip beside the stage has four rows at most.
    const short = Math.floor(grid ? Math.sqrt(count) : (count + 3) / 4);
    const long = Math.ceil(count / short);
    this.#list.style.cssText = `--short: ${short}; --long: ${long}; --strip: ${strip}`;
  }

  /** Tell the relay how large each picture is: it sends no more, and nothing unseen. */
  #reportSizes() {
    this.#sizeTimer ||= setTimeout(() => {
      this.#sizeTimer = 0;
      const { peer, visible, link } = this.#client;
      if (!peer?.answered) return;
      // It reaches down to the bar, or stands beside the stage.
      const open = document.querySelector('.panel:not([hidden])');
      // Once each time: whoever is observed anew is told of at once.
      if (open && open !== this.#sheet) this.#sizes.observe((this.#sheet = open));
      const sheet = open?.getBoundingClientRect();
      const slots = this.#tiles.map((tile) => {
        const { kind, index, root } = tile;
        const box = root.getBoundingClientRect();
        // Who comes to an empty tile is to be seen at once: it counts as small.
        const covered = sheet && sheet.top <= box.top && sheet.left <= box.left && sheet.right >= box.right;
        const inPlace = visible && this.#inSight && (root.hidden || !covered);
        const scale = inPlace || document.pictureInPictureElement === tile.video ? devicePixelRatio : 0;
        tile.setSeen(scale > 0);
        /** @param {number} length */
        const pixels = (length) => Math.min(16_384, Math.ceil((length || 1) * scale));
        return { kind, index, width: pixels(box.width), height: pixels(box.height) };
      });
      const text = JSON.stringify(slots);
      if (text === this.#measured && link === this.#toldBy) return;
      this.#measured = text;
      this.#toldBy = link;
      this.#client.tell({ type: 'media.view', slots });
    }, 200);
  }
}
