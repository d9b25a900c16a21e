/**
 * What lets a reloaded frame come back, for this tab only. Storage may be refused (third-party
 * rules) or vanish; then memory serves until the page goes.
 */
export class ResumeMemory {
  /** @type {Map<string, string>} */
  #memory = new Map();
  #prefix;

  /** @param {string} prefix For example `agent_frame.1234.abc`. */
  constructor(prefix) {
    this.#prefix = `switchboard.${prefix}.`;
  }

  /** @param {string} name @returns {string|null} */
  get(name) {
    try {
      const kept = sessionStorage.getItem(this.#prefix + name);
      if (kept !== null) return kept;
    } catch {
      // Storage is refused in this frame.
    }
    return this.#memory.get(name) ?? null;
  }

  /** @param {string} name @param {string|null} value Null forgets. */
  set(name, value) {
    if (value === null) this.#memory.delete(name);
    else this.#memory.set(name, value);
    try {
      if (value === null) sessionStorage.removeItem(this.#prefix + name);
      else sessionStorage.setItem(this.#prefix + name, value);
    } catch {
      // Storage is refused in this frame.
    }
  }
}

/**
 * A consumer's own secret: the same secret is the same consumer on another surface.
 * @param {string} key Account and conversation.
 * @param {string} [given] The secret of the surface that opened this one.
 */
export function claimSecret(key, given) {
  const name = `switchboard.claim.${key}`;
  const made = given ?? randomText(24);
  try {
    const kept = localStorage.getItem(name);
    if (kept && !given) return kept;
    localStorage.setItem(name, made);
  } catch {
    // Storage is refused: this surface is then a consumer of its own until the page goes.
  }
  return made;
}

/** @param {number} bytes @returns {string} Hexadecimal, from the browser's generator. */
export function randomText(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, '0')).join('');
}
