/**
 * What lets a reloaded frame come back, for this tab only. Where storage is refused or vanishes,
 * memory serves until the page goes.
 */
export class ResumeMemory {
  /** @type {Map<string, string|null>} */
  #memory = new Map();
  #prefix;

  /**
   * @param {string} prefix For example `agent_frame.1234.abc`.
   * @param {string|null} [off] What was turned off where the person comes from.
   */
  constructor(prefix, off = null) {
    this.#prefix = `switchboard.${prefix}.`;
    this.set('off', this.get('off') ?? off);
  }

  /** @param {string} name @returns {string|null} */
  get(name) {
    try {
      const kept = sessionStorage.getItem(this.#prefix + name);
      if (kept !== null) return kept;
    } catch {
      // Refused.
    }
    return this.#memory.get(name) ?? null;
  }

  /** @param {string} name @param {string|null} value Null forgets. */
  set(name, value) {
    this.#memory.set(name, value);
    try {
      if (value === null) sessionStorage.removeItem(this.#prefix + name);
      else sessionStorage.setItem(this.#prefix + name, value);
    } catch {
      // Refused.
    }
  }
}
