import { Refusal } from './refusal.js';

/** Requests that await their reply: at most `limit`, each with a time limit. */
export class PendingRequests {
  /** @type {Map<string, Waiter>} */
  #waiters = new Map();
  #limit;

  /** @param {number} limit */
  constructor(limit) {
    this.#limit = limit;
  }

  /**
   * @param {string} id @param {number} timeoutMs
   * @returns {Promise<any>} The reply; rejects with a `Refusal`.
   */
  add(id, timeoutMs) {
    if (this.#waiters.size >= this.#limit) {
      return Promise.reject(new Refusal('busy', 'Too many requests await an answer.', true));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(id);
        reject(new Refusal('timeout', 'No answer came in time.', true));
      }, timeoutMs);
      this.#waiters.set(id, { resolve, reject, timer: Number(timer) });
    });
  }

  /** @param {BrokerMessage} message @returns {boolean} Whether somebody waited for it. */
  settle(message) {
    const id = 'reply_to' in message ? message.reply_to : null;
    const waiter = id ? this.#waiters.get(id) : undefined;
    if (!id || !waiter) return false;
    this.#waiters.delete(id);
    clearTimeout(waiter.timer);
    if (message.type === 'request.refused') {
      waiter.reject(new Refusal(message.code, message.message, message.retryable));
    } else {
      waiter.resolve(message);
    }
    return true;
  }

  /** The connection is gone: nobody will be answered. */
  onConnectionClosed() {
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of waiters) {
      clearTimeout(waiter.timer);
      waiter.reject(new Refusal('connection_lost', 'The connection was lost.', true));
    }
  }
}
