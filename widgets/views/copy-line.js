import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el } from './dom.js';

/** An address to take along: a line that can only be read, and a button that copies it. */
export class CopyLine {
  #copy = wordButton('copy', () => void this.#go(), 'small', 'copy');
  button = this.#copy.root;
  line;
  #bring = () => this.line.parentElement?.scrollIntoView({ block: 'nearest' });

  /** @param {string} label */
  constructor(label) {
    this.line = el('input', { type: 'text', readonly: true, dir: 'auto', class: 'link', 'aria-label': label });
    this.line.onfocus = () => addEventListener('resize', this.#bring);
    this.line.onblur = () => removeEventListener('resize', this.#bring);
  }

  /** @param {string} text */
  show(text) {
    this.line.value = text;
    this.#copy.set(say('copy'));
    if (document.hasFocus()) {
      this.line.focus();
      this.line.select();
    }
    // Its beginning says more than its end.
    this.line.scrollLeft = 0;
    this.#bring();
  }

  async #go() {
    this.line.select();
    try {
      await navigator.clipboard.writeText(this.line.value);
    } catch {
      // A frame may be refused the clipboard; the older command needs the selection only.
      if (!document.execCommand('copy')) return;
    }
    this.#copy.set(say('copied'));
  }
}
