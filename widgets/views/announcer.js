import { say } from '../catalogues/words.js';
import { entryOf, others } from '../session/select.js';
import { nameOf } from './avatar.js';
import { el } from './dom.js';

const BEAT_MS = 2_000;

/** Tells who came and went, and other news of a session: one after the other, seen and heard. */
export class Announcer {
  /** @type {Map<string, string>|null} */
  #present = null;
  /** @type {Session['muted']} */
  #muted = null;
  /** What is still to be said, and shown, by what it is about. @type {Map<string, [string, boolean]>} */
  #waiting = new Map();
  /** How long what is said stands yet, if nothing waits. */
  #beats = 0;
  root = el('div', { class: 'toast', role: 'status' });

  /**
   * Say it in its turn: of what waits about one thing the latest, of all the latest three.
   * @param {string} text @param {string} [about] @param {boolean} [shown] Else only heard.
   */
  tell(text, about = text, shown = true) {
    this.#waiting.delete(about);
    this.#waiting.set(about, [text, shown]);
    if (this.#waiting.size > 3) this.#waiting.delete([...this.#waiting.keys()][0] ?? '');
    if (this.#beats === 0) this.#beat();
  }

  #beat() {
    const [next] = this.#waiting;
    this.#beats = next ? 3 : this.#beats - 1;
    if (next) this.#waiting.delete(next[0]);
    const [text, shown] = next?.[1] ?? ['', false];
    if (next || this.#beats === 0) {
      this.root.textContent = text;
      this.root.classList.toggle('shown', shown);
    }
    if (this.#beats > 0) setTimeout(() => this.#beat(), BEAT_MS);
  }

  /** @param {Session} session */
  update(session) {
    const { muted } = session;
    const names = new Map(others(session).map((entry) => [entry.participant_id, nameOf(entry)]));
    const before = this.#present;
    const stopped = before && muted !== this.#muted;
    this.#present = names;
    this.#muted = muted;
    // What was so when the view came is no news.
    if (!before) return;
    for (const [id, name] of names) if (!before.has(id)) this.tell(say('came', { name }), id);
    for (const [id, name] of before) if (!names.has(id)) this.tell(say('went', { name }), id, names.size > 0);
    if (muted && stopped) {
      const by = entryOf(session, muted.by);
      const what = muted.sources.map((source) => say(`what_${source}`)).join(', ');
      this.tell(say('muted_by', { name: by?.name || say('somebody'), what }));
    }
  }
}
