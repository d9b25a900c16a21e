import { say } from '../catalogues/words.js';
import { el } from './dom.js';

/** Says aloud (to screen readers) and shows for a moment what just happened. */
export class Announcer {
  /** @type {Map<string, string>|null} */
  #present = null;
  #lobby = new Set();
  #muted = 0;
  #timer = 0;
  root = el('div', { class: 'toast', role: 'status', 'aria-live': 'polite' });

  /** @param {string} text */
  tell(text) {
    this.root.textContent = text;
    this.root.classList.toggle('shown', text !== '');
    clearTimeout(this.#timer);
    if (text) this.#timer = Number(setTimeout(() => this.tell(''), 6_000));
  }

  /** @param {WidgetState} state */
  update({ session, muted }) {
    if (!session) {
      this.#present = null;
      this.#lobby.clear();
      return;
    }
    const names = new Map();
    for (const entry of session.roster) {
      const name = entry.name || say(`role_${entry.role}`);
      if (entry.participant_id === session.participantId) continue;
      if (entry.attendance === 'lobby' && !this.#lobby.has(entry.participant_id)) {
        this.#lobby.add(entry.participant_id);
        this.tell(say('waits', { name }));
      }
      if (entry.attendance === 'present' || entry.attendance === 'reconnecting') {
        names.set(entry.participant_id, name);
      }
    }
    const before = this.#present;
    this.#present = names;
    if (before) {
      for (const [id, name] of names) if (!before.has(id)) this.tell(say('came', { name }));
      for (const [id, name] of before) if (!names.has(id)) this.tell(say('went', { name }));
    }
    if (muted && muted.count !== this.#muted) {
      this.#muted = muted.count;
      const by = session.roster.find((entry) => entry.participant_id === muted.by);
      const what = muted.sources.map((source) => say(`what_${source}`)).join(', ');
      this.tell(say('muted_by', { name: by?.name || say('somebody'), what }));
    }
  }
}
