/**
 * The launcher as the framed widget sees it; its origin stands in the frame's address. Only that
 * origin is listened to and spoken to, and nothing is said of persons.
 */
export class FrameHost extends EventTarget {
  /** Whether the person has not put the frame away; the launcher opens by itself when it rings. */
  open = true;
  /** Whether the person has touched the page around it, which lets this frame sound. */
  active = false;
  #origin;
  #shown = '';

  /** @param {URLSearchParams} query */
  constructor(query) {
    super();
    const host = query.get('host') ?? '';
    this.#origin = window.parent !== window && /^https?:\/\/[^/]+$/u.test(host) ? host : '';
  }

  start() {
    if (!this.#origin) return;
    window.addEventListener('message', (event) => {
      if (event.origin !== this.#origin || event.source !== window.parent) return;
      if (event.data?.type !== 'switchboard.opened') return;
      this.open = event.data.open === true;
      this.active = event.data.active === true;
      this.dispatchEvent(new Event('change'));
    });
    this.#post({ type: 'switchboard.ready' });
  }

  /** Whether there is a launcher, which tells of a ring outside the frame. */
  get framed() {
    return this.#origin !== '';
  }

  /** @param {'closed'|'ring'|'session'|'over'} what @param {string} [said] What is to be noticed. */
  show(what, said = '') {
    if (what === this.#shown) return;
    this.#shown = what;
    this.#post({ type: 'switchboard.show', what, said });
  }

  /** @param {Record<string, unknown>} data */
  #post(data) {
    if (this.#origin) window.parent.postMessage(data, this.#origin);
  }
}
