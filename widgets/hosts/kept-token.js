import { Memory } from '../channel/memory.js';

/** A kept token is asked for anew this long before it ends. */
const EARLY_MS = 60_000;

/** A token that took a person's click: kept for this tab, and known to its other frames. */
export class KeptToken {
  #memory;

  /** @param {string} name For example `agent.1234`. */
  constructor(name) {
    this.#memory = new Memory(name);
  }

  /** @returns {string} Empty when there is none that lasts. */
  get() {
    const [until, token] = (this.#memory.get('token') ?? '').split(' ');
    return Number(until) > Date.now() && token ? token : '';
  }

  /** @param {Grant} answer @returns {string} The token. */
  keep({ token, expires_in_s }) {
    this.#memory.set('token', `${Date.now() + expires_in_s * 1000 - EARLY_MS} ${token}`);
    return token;
  }

  forget() {
    this.#memory.set('token', null);
  }
}
