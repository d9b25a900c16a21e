/**
 * Who is shown in one slot. The name changes at the frame from which the relay says it carries
 * somebody else; when that stays out the picture goes first. Each frame's time says whose turn it
 * is: one not told of yet is not shown. Pure.
 */
export class SlotTurn {
  /** Whose name is shown. @type {string|null} */
  shown = null;
  /** Whether the picture may be shown. */
  picture = false;
  /** @type {number|null} */
  #turn = null;
  /** @type {NextTurn|null} */
  #next = null;

  /** @param {SeatAssignment|undefined} seat Nobody's: blanked. @param {number} now Milliseconds. */
  assign(seat, now) {
    const participant = seat?.participant_id ?? null;
    const turn = seat?.turn ?? null;
    const next = this.#next;
    this.#next = null;
    if (participant === null) {
      this.shown = null;
      this.picture = false;
    } else if (participant !== this.shown || !this.picture || turn !== this.#turn) {
      const since = next?.participant === participant ? next.since : now;
      this.#next = { participant, from: seat?.video_timestamp ?? null, turn, since };
      this.shown ??= participant;
    }
  }

  /**
   * A frame is on the screen.
   * @param {number|null} timestamp Of RTP; null where the browser does not say.
   */
  onFrame(timestamp) {
    const next = this.#next;
    if (next) {
      if (timestamp !== null && next.from !== null && ((timestamp - next.from) | 0) < 0) return;
      this.shown = next.participant;
      this.#turn = next.turn;
      this.#next = null;
    }
    const theirs = timestamp === null || this.#turn === null || (timestamp & 7) === this.#turn;
    this.picture = theirs && this.shown !== null;
  }

  /** @param {number} now @param {number} [patienceMs] */
  tick(now, patienceMs = 700) {
    const next = this.#next;
    if (!next || next.participant === this.shown || now - next.since < patienceMs) return;
    this.shown = next.participant;
    this.picture = false;
  }

  /** The camera is off: what comes next counts from a new frame. @param {number} now */
  conceal(now) {
    if (this.shown === null || !this.picture) return;
    this.picture = false;
    this.#next ??= { participant: this.shown, from: null, turn: this.#turn, since: now };
  }

  /** Whether somebody else comes here, so that time alone may change the name. */
  get turning() {
    return this.#next !== null && this.#next.participant !== this.shown;
  }
}
