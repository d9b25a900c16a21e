import { Refusal } from '../hosts/gateway.js';
import { PROTOCOL_REVISION, RETRYABLE_CLOSE_CODES, SUBPROTOCOL } from '../protocol/messages.js';

const PING_MS = 10_000;
const SILENCE_MS = 25_000;
const HELLO_MS = 10_000;
const REQUEST_MS = 12_000;
/** So long an answer may take where the network may be another. */
const ECHO_MS = 3_000;
const MAX_PENDING = 64;
const PING = '{"type":"connection.ping"}';

/** What was asked and has no answer yet, by request id; bounded, each with a time after which it fails. */
class PendingRequests {
  /** @type {Map<string, Waiter>} */
  #waiters = new Map();

  /** The reply. `bound`: only for this session. @param {string} id @param {string} text @param {boolean} bound */
  add(id, text, bound) {
    if (this.#waiters.size >= MAX_PENDING) throw new Refusal('busy', 'Too many wait.', true);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(id, 'timeout'), REQUEST_MS);
      this.#waiters.set(id, { text, bound, resolve, reject, timer });
    });
  }

  /** @param {WebSocket|null} socket */
  say(socket) {
    for (const { text } of this.#waiters.values()) socket?.send(text);
  }

  /** @param {any} message @returns {Refusal|undefined} That of nothing that was asked. */
  settle(message) {
    const waiter = this.#take(message.reply_to);
    if (message.type !== 'request.refused') return void waiter?.resolve(message);
    const refusal = new Refusal(message.code, message.message, message.retryable);
    return waiter ? void waiter.reject(refusal) : refusal;
  }

  /** Nobody answers what was asked in the session, or `all`. @param {boolean} [all] */
  lose(all) {
    for (const [id, { bound }] of this.#waiters) if (all || bound) this.#fail(id, 'connection_lost');
  }

  /** @param {string} id @param {string} code */
  #fail(id, code) {
    this.#take(id)?.reject(new Refusal(code, 'No answer came.', true));
  }

  /** @param {any} id */
  #take(id) {
    const waiter = this.#waiters.get(id);
    clearTimeout(waiter?.timer);
    this.#waiters.delete(id);
    return waiter;
  }
}

/**
 * One widget's connection to the broker, which comes back. A request is said again, under its id, at
 * each `resume.renewed` until it is answered. `close()` rejects all in flight.
 */
export class SignallingChannel {
  #options;
  #pending = new PendingRequests();
  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {Link} */
  #link = { status: 'idle', code: 0, refusal: null };
  #lastSeq = 0;
  /** How many are over. */
  #sessions = 0;
  /** The broker repeats replies to the page before a reload. */
  #idPrefix = randomText(4);
  #nextId = 1;
  #attempt = 0;
  /** Counts the attempts: one that a newer has overtaken is off. */
  #opening = 0;
  #lastHeard = 0;
  /** The latest of each notification made while not connected. @type {Map<string, string>} */
  #latest = new Map();
  #retryTimer = 0;
  #beat = 0;
  /** @type {Refusal|null} */
  #refusal = null;
  #wake = () => this.hurry();

  /** @param {ChannelOptions} options */
  constructor(options) {
    this.#options = options;
  }

  connect() {
    if (this.#link.status !== 'idle' && this.#link.status !== 'closed') return;
    this.#attempt = 0;
    this.#setLink('connecting');
    addEventListener('online', this.#wake);
    void this.#open();
  }

  /** @param {ToBroker} message @returns {Promise<any>} The reply. */
  async request(message) {
    const session = this.#sessions;
    for (let pause = 100; ; pause *= 2) {
      try {
        return await this.#once(message);
      } catch (/** @type {any} */ refusal) {
        // Nothing was done.
        if (refusal.code !== 'session_away' || pause > 2_000) throw refusal;
        await new Promise((resolve) => setTimeout(resolve, pause));
        // Nor is it in the next.
        if (session !== this.#sessions) throw refusal;
      }
    }
  }

  /** @param {{type: string}} message */
  #once(message) {
    if (this.#link.status === 'closed') {
      throw new Refusal('connection_lost', 'The connection is closed.', false);
    }
    const id = `${this.#idPrefix}.${this.#nextId++}`;
    const text = JSON.stringify({ ...message, id });
    const open = this.#link.status === 'open';
    const reply = this.#pending.add(id, text, open || this.#lastSeq > 0);
    if (open) this.#socket?.send(text);
    return reply;
  }

  /** While not connected only the latest of its type is kept. @param {ToBroker} message */
  tell(message) {
    const text = JSON.stringify(message);
    if (this.#link.status === 'open') this.#socket?.send(text);
    else this.#latest.set(message.type, text);
  }

  /** The session is over; the next counts anew. */
  forgetSession() {
    this.#lastSeq = 0;
    this.#sessions += 1;
    this.#pending.lose();
  }

  close() {
    if (this.#link.status === 'closed') return;
    const socket = this.#socket;
    this.#giveUp(1000, null);
    socket?.close(1000);
  }

  async #open() {
    let fields;
    const turn = ++this.#opening;
    try {
      fields = await this.#options.greet(this.#lastSeq);
    } catch (error) {
      if (turn !== this.#opening) return;
      const why = error instanceof Refusal ? error : new Refusal('timeout', String(error), true);
      if (why.retryable) this.#later(1006, why);
      else this.#giveUp(4401, why);
      return;
    }
    if (turn !== this.#opening) return;
    const socket = new WebSocket(this.#options.url, SUBPROTOCOL);
    this.#socket = socket;
    this.#refusal = null;
    const late = setTimeout(() => this.#abandon(socket), HELLO_MS);
    socket.onopen = () => {
      const id = `${this.#idPrefix}.${this.#nextId++}`;
      const hello = { type: 'connection.hello', id, revision: PROTOCOL_REVISION, attempt: turn };
      socket.send(JSON.stringify({ ...hello, ...fields }));
    };
    socket.onmessage = (event) => {
      if (socket !== this.#socket || typeof event.data !== 'string') return;
      this.#lastHeard = performance.now();
      this.#receive(JSON.parse(event.data), late);
    };
    socket.onclose = (event) => {
      clearTimeout(late);
      if (socket === this.#socket) this.#lost(event.code);
    };
  }

  /** @param {BrokerMessage} message @param {ReturnType<typeof setTimeout>} late */
  #receive(message, late) {
    // Where nobody looks the beat may rest for a minute.
    if (message.type === 'connection.unheard') this.#socket?.send(PING);
    if (message.type === 'session.moved') this.#lastSeq = 0;
    else if (message.type === 'session.snapshot') this.#lastSeq = message.seq;
    else if ('seq' in message && message.seq) this.#lastSeq = Math.max(this.#lastSeq, message.seq);
    if (message.type === 'connection.welcome') {
      clearTimeout(late);
      this.#attempt = 0;
      if (!message.resumed) {
        this.#pending.lose();
        this.#pending.say(this.#socket);
      }
      for (const [type, text] of this.#latest) {
        // What was told in a session is news to no other.
        if (message.resumed || /^(surface|engagement)\./u.test(type)) this.#socket?.send(text);
      }
      this.#latest.clear();
      this.#setLink('open');
      this.#beat = setInterval(() => {
        if (performance.now() - this.#lastHeard > SILENCE_MS) this.#abandon(this.#socket);
        else this.#socket?.send(PING);
      }, PING_MS);
    }
    if (message.type === 'resume.renewed') this.#pending.say(this.#socket);
    this.#refusal = this.#pending.settle(message) ?? this.#refusal;
    this.#options.onMessage(message);
  }

  /** A socket may take minutes to notice. @param {WebSocket|null} socket */
  #abandon(socket) {
    if (!socket || socket !== this.#socket) return;
    this.#lost(1006);
    socket.close();
  }

  /** @param {number} code */
  #lost(code) {
    clearInterval(this.#beat);
    this.#socket = null;
    const refusal = this.#refusal;
    const again = this.#options.mayRetry?.(code, refusal) ?? RETRYABLE_CLOSE_CODES.includes(code);
    if (again) this.#later(code, refusal);
    else this.#giveUp(code, refusal);
  }

  /** @param {number} code @param {Refusal|null} refusal */
  #later(code, refusal) {
    this.#setLink('reconnecting', code, refusal);
    clearTimeout(this.#retryTimer);
    const delay = retryDelay(this.#attempt++, Math.random());
    this.#retryTimer = setTimeout(() => void this.#open(), delay);
  }

  /** Person or network came, or media went: sit out no wait, trust no old line. */
  hurry() {
    const socket = this.#socket;
    const heard = this.#lastHeard;
    if (this.#link.status === 'open') {
      socket?.send(PING);
      setTimeout(() => heard === this.#lastHeard && this.#abandon(socket), ECHO_MS);
    } else if (this.#link.status === 'reconnecting' && !socket) {
      clearTimeout(this.#retryTimer);
      this.#attempt = 1;
      void this.#open();
    }
  }

  /** @param {number} code @param {Refusal|null} refusal */
  #giveUp(code, refusal) {
    this.#opening += 1;
    this.#socket = null;
    clearInterval(this.#beat);
    clearTimeout(this.#retryTimer);
    removeEventListener('online', this.#wake);
    this.#pending.lose(true);
    this.#latest.clear();
    this.#setLink('closed', code, refusal);
  }

  /** @param {LinkStatus} status @param {number} [code] @param {Refusal|null} [refusal] */
  #setLink(status, code = 0, refusal = null) {
    this.#link = { status, code, refusal };
    this.#options.onLink(this.#link);
  }
}

/**
 * Milliseconds before the next attempt: none, then doubling with jitter: a lost gateway's widgets
 * must not come back in one moment.
 * @param {number} attempt Attempts since the last success. @param {number} random In [0, 1).
 */
export function retryDelay(attempt, random) {
  if (attempt === 0) return 0;
  const ceiling = Math.min(15_000, 400 * 2 ** Math.min(attempt - 1, 10));
  return Math.round(ceiling / 4 + (random * ceiling * 3) / 4);
}

/** Text nobody guesses, in hexadecimal, from the browser's generator. @param {number} bytes */
export function randomText(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, '0')).join('');
}
