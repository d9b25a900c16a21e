import { say } from '../catalogues/words.js';
import { iconButton } from './buttons.js';
import { el } from './dom.js';

/** The one that is open: they share a place. @type {Panel|null} */
let shown = null;

/** A sheet over the stage, or beside it where both have room. It gives the focus back. */
export class Panel {
  body = el('div', { class: 'panel-body' });
  /** @type {HTMLElement|null} */
  #opener = null;
  root;

  /** @param {string} title */
  constructor(title) {
    const close = iconButton('close', () => this.close(), 'quiet');
    close.set(say('close'));
    this.root = el(
      'section',
      { class: 'panel', role: 'dialog', 'aria-label': title, hidden: true, tabindex: '-1' },
      el('header', {}, el('h2', { text: title }), close),
      this.body,
    );
    this.root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      this.close();
    });
  }

  get open() {
    return !this.root.hidden;
  }

  toggle() {
    if (this.open) this.close();
    else this.show();
  }

  show() {
    shown?.close();
    shown = this;
    this.#opener = /** @type {HTMLElement|null} */ (document.activeElement);
    this.root.hidden = false;
    // Not where one was the last time: who waits stands first.
    this.body.scrollTop = 0;
    this.root.focus({ preventScroll: true });
    this.root.dispatchEvent(new CustomEvent('panelopen', { bubbles: true }));
  }

  close() {
    if (!this.open) return;
    // Who is elsewhere by now stays there.
    const held = this.root.contains(document.activeElement);
    this.root.hidden = true;
    if (held) this.#opener?.focus({ preventScroll: true });
    this.root.dispatchEvent(new CustomEvent('panelclose', { bubbles: true }));
  }
}
