/**
 * Who is shown in one slot. The relay says from which frame on it carries somebody else: the name
 * changes at that frame; when it stays out the picture goes first. A frame before that word
 * bears the old name. Pure: time and frames come in as arguments.
 */
export class SlotTurn {
  /** Whose name stands on the tile. @type {string|null} */
  shown = null;
  /** Whether the slot's picture may be shown. */
  picture = false;
  /** @type {{participant: string, from: number|null, since: number}|null} */
  #next = null;

  /**
   * @param {string|null} participant Null: nobody; the slot is blanked at once.
   * @param {number|null} from RTP timestamp of the first frame that is theirs; null when unknown.
   * @param {number} now Milliseconds.
   */
  assign(participant, from, now) {
    if (participant === null) {
      this.shown = null;
      this.picture = false;
      this.#next = null;
      return;
    }
    if (participant === this.shown && !this.#next) return;
    if (participant === this.shown && this.picture) {
      this.#next = null;
      return;
    }
    const since = this.#next?.participant === participant ? this.#next.since : now;
    this.#next = { participant, from, since };
    if (this.shown === null) this.shown = participant;
  }

  /**
   * A frame is on the screen.
   * @param {number|null} timestamp Its RTP timestamp; null where the browser does not say.
   */
  onFrame(timestamp) {
    const next = this.#next;
    if (!next) return;
    if (timestamp !== null && next.from !== null && ((timestamp - next.from) | 0) < 0) return;
    this.shown = next.participant;
    this.picture = true;
    this.#next = null;
  }

  /** @param {number} now @param {number} [patienceMs] */
  tick(now, patienceMs = 700) {
    const next = this.#next;
    if (!next || next.participant === this.shown || now - next.since < patienceMs) return;
    this.shown = next.participant;
    this.picture = false;
  }

  /** The person turned the camera off: what comes next counts from a new frame. @param {number} now */
  conceal(now) {
    if (this.shown === null || !this.picture) return;
    this.picture = false;
    this.#next ??= { participant: this.shown, from: null, since: now };
  }

  /** Whether somebody else comes here, so that time alone may change the name. */
  get turning() {
    return this.#next !== null && this.#next.participant !== this.shown;
  }
}
