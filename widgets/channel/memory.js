/** Where storage is refused or vanishes, this serves until the page goes. @type {Map<string, string|null>} */
const spare = new Map();

/** What is kept under names with one prefix: for this tab, or for this browser. */
export class Memory {
  #prefix;
  #area;

  /**
   * @param {string} prefix For example `agent_frame.1234.abc`.
   * @param {'sessionStorage'|'localStorage'} [area]
   */
  constructor(prefix, area = 'sessionStorage') {
    this.#prefix = `switchboard.${prefix}.`;
    this.#area = area;
  }

  /** @param {string} name @returns {string|null} */
  get(name) {
    const key = this.#prefix + name;
    try {
      const kept = window[this.#area].getItem(key);
      if (kept !== null) return kept;
    } catch {
      // Refused.
    }
    return spare.get(key) ?? null;
  }

  /** @param {string} name @param {string|null} value Null forgets. */
  set(name, value) {
    const key = this.#prefix + name;
    spare.set(key, value);
    try {
      if (value === null) window[this.#area].removeItem(key);
      else window[this.#area].setItem(key, value);
    } catch {
      // Refused.
    }
  }
}
