import { idsFromQuery } from './engagement-ids.js';

/**
 * The launcher as the framed widget sees it; its origin stands in the frame's address. Only that
 * origin is listened to and spoken to, and nothing is said of persons. A window of its own, and a
 * page that frames the widget by itself, have no launcher.
 */
export class FrameHost extends EventTarget {
  /** Whether the person has not put the frame away; the launcher opens by itself when it rings. */
  shown = true;
  /** Whether the person has touched the page around it, which lets this frame sound. */
  active = false;
  missing = false;
  gone = false;
  #origin;
  #shown = '';

  /** @param {URLSearchParams} query */
  constructor(query) {
    super();
    const ids = idsFromQuery(query);
    this.ids = ids?.window_session_id || ids?.conversation_id ? ids : null;
    const host = query.get('host') ?? '';
    this.#origin = window.parent !== window && /^https?:\/\/[^/]+$/u.test(host) ? host : '';
  }

  start() {
    this.#changed();
    if (!this.#origin) return;
    window.addEventListener('message', (event) => {
      if (event.origin !== this.#origin || event.source !== window.parent) return;
      if (event.data?.type !== 'switchboard.opened') return;
      this.shown = event.data.open === true;
      this.active = event.data.active === true;
      this.#changed();
    });
    this.#post({ type: 'switchboard.ready' });
  }

  /** What rings rings by itself, or by `show`. */
  notify() {}

  /** Whether there is a launcher, which tells of a ring outside the frame. */
  get framed() {
    return this.#origin !== '';
  }

  /** @param {'closed'|'ring'|'session'|'over'} what @param {string} [said] What is to be noticed. */
  show(what, said = '') {
    if (what === this.#shown && !said) return;
    this.#shown = what;
    this.#post({ type: 'switchboard.show', what, said });
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }

  /** @param {Record<string, unknown>} data */
  #post(data) {
    if (this.#origin) window.parent.postMessage(data, this.#origin);
  }
}
