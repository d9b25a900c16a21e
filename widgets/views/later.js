import { el } from './dom.js';

const REST_MS = 3_000;
const LONGEST_REST_MS = 60_000;

/**
 * A part of a screen that is seldom wanted. It comes with styles when asked for, or once the page
 * has shown what matters: later the gateway may serve another revision.
 * @template {{root: HTMLElement, close?: () => void}} P @template [M=any]
 */
export class Later {
  /** @type {P|null} */
  panel = null;
  root = el('div', { class: 'later' });
  #load;
  #make;
  #onReady;
  /** @type {Promise<P>|null} */
  #coming = null;
  #timer = 0;
  #hastened = false;
  #closed = false;

  /** @param {() => Promise<M>} load @param {(module: M) => P} make @param {() => void} onReady */
  constructor(load, make, onReady) {
    this.#load = load;
    this.#make = make;
    this.#onReady = onReady;
    this.#bring(REST_MS);
  }

  /** Rejects when it cannot be had, and may be asked again. */
  ready() {
    this.#coming ??= this.#fetch();
    return this.#coming;
  }

  /** Use the panel when it is here, unless its screen is gone. @param {(panel: P) => void} act */
  async use(act) {
    const panel = await this.ready();
    if (!this.#closed) act(panel);
  }

  /**
   * Something happened that only this panel shows: bring it now.
   * @param {(error: unknown) => void} onFailed Told once; it is tried again without being asked.
   */
  hasten(onFailed) {
    if (this.#hastened || this.panel) return;
    this.#hastened = true;
    this.root.setAttribute('aria-busy', 'true');
    this.ready().catch(onFailed);
  }

  /** Close the panel, and fetch nothing more by itself. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.panel?.close?.();
  }

  /** Fetch it unasked; what failed is tried again, ever more seldom. @param {number} rest */
  #bring(rest) {
    this.#timer = setTimeout(() => {
      this.ready().catch(() => {
        if (!this.#closed) this.#bring(Math.min(2 * rest, LONGEST_REST_MS));
      });
    }, rest);
  }

  async #fetch() {
    try {
      const [module] = await Promise.all([
        this.#load(), loadStyles('later'), loadStyles('tiles'), import('./more-icons.js'),
      ]);
      const panel = this.#make(module);
      this.panel = panel;
      this.root.removeAttribute('aria-busy');
      this.root.append(panel.root);
      if (!this.#closed) this.#onReady();
      return panel;
    } catch (error) {
      this.#coming = null;
      throw error;
    }
  }
}

/** @type {Record<string, Promise<unknown>>} */
const styles = {};

/** @param {string} name */
export function loadStyles(name) {
  styles[name] ??= new Promise((resolve, reject) => {
    const href = new URL(`../styles/${name}.css`, import.meta.url).href;
    const failed = () => {
      delete styles[name];
      link.remove();
      reject(new Error('The styles did not come.'));
    };
    const link = el('link', { rel: 'stylesheet', href, on: { load: resolve, error: failed } });
    document.head.append(link);
  });
  return styles[name];
}

/** @param {LocalMedia} media @param {() => void} onReady @param {(right: string) => boolean} [may] */
export function deviceCheckLater(media, onReady, may) {
  return new Later(() => import('./device-check.js'), ({ DeviceCheck }) => new DeviceCheck(media, may), onReady);
}
