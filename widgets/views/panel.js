import { say } from '../catalogues/words.js';
import { iconButton } from './buttons.js';
import { el, setText } from './dom.js';

/**
 * A sheet over the stage: titled, closed by its button or Escape, and giving the focus back to
 * what opened it.
 */
export class Panel {
  #title = el('h2', {});
  body = el('div', { class: 'panel-body' });
  /** @type {HTMLElement|null} */
  #opener = null;
  root;

  /** @param {string} title */
  constructor(title) {
    const close = iconButton(say('close'), 'close', () => this.close(), 'quiet small');
    setText(this.#title, title);
    this.root = el(
      'section',
      { class: 'panel', role: 'dialog', 'aria-label': title, hidden: true, tabindex: '-1' },
      el('header', {}, this.#title, close.root),
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
    this.#opener = /** @type {HTMLElement|null} */ (document.activeElement);
    this.root.hidden = false;
    this.root.focus({ preventScroll: true });
    this.root.dispatchEvent(new CustomEvent('panelopen', { bubbles: true }));
  }

  close() {
    if (!this.open) return;
    this.root.hidden = true;
    this.#opener?.focus({ preventScroll: true });
    this.root.dispatchEvent(new CustomEvent('panelclose', { bubbles: true }));
  }
}
