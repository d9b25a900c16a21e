import { el } from './dom.js';

const REST_MS = 3_000;

/**
 * A panel that is seldom wanted: its module comes when asked for, or once the page has shown what
 * matters; later the gateway may serve another revision.
 *
 * @template {{root: HTMLElement, close: () => void}} P
 */
export class Later {
  /** @type {P|null} */
  panel = null;
  root = el('div', { class: 'later' });
  #load;
  #onReady;
  /** @type {Promise<P>|null} */
  #coming = null;
  #timer;

  /** @param {() => Promise<P>} load @param {() => void} onReady */
  constructor(load, onReady) {
    this.#load = load;
    this.#onReady = onReady;
    this.#timer = setTimeout(() => void this.ready().catch(() => {}), REST_MS);
  }

  /** The panel; rejects when its module cannot be had. */
  ready() {
    this.#coming ??= this.#make();
    return this.#coming;
  }

  /** Close the panel, and fetch nothing more by itself. */
  close() {
    clearTimeout(this.#timer);
    this.panel?.close();
  }

  async #make() {
    try {
      const panel = await this.#load();
      this.panel = panel;
      this.root.append(panel.root);
      this.#onReady();
      return panel;
    } catch (error) {
      this.#coming = null;
      throw error;
    }
  }
}

/** @param {LocalMedia} media @param {() => void} onReady */
export function deviceCheckLater(media, onReady) {
  return new Later(async () => {
    const { DeviceCheck } = await import('./device-check.js');
    return new DeviceCheck(media);
  }, onReady);
}
