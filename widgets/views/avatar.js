import { say } from '../catalogues/words.js';
import { initials } from '../session/select.js';
import { el, setText, show } from './dom.js';

/** @param {{name: string, role: string}} person Their name, or what they are. */
export function nameOf({ name, role }) {
  return name || say(`role_${role}`);
}

/** A round picture of a person, or the initials of the name. */
export class Avatar {
  #letters = el('span', { 'aria-hidden': 'true' });
  #image = el('img', { alt: '', hidden: true });
  root = el('div', { class: 'avatar' }, this.#letters, this.#image);
  #shown = '';

  constructor() {
    this.#image.onload = () => show(this.#image, true);
  }

  /** @param {string} name @param {string|null|undefined} picture Shown if the gateway has it. */
  update(name, picture) {
    setText(this.#letters, initials(name));
    const hue = [...name].reduce((sum, c) => sum + 137 * c.charCodeAt(0), 0);
    this.root.style.setProperty('--hue', String(hue));
    const source = picture?.startsWith('/v1/pictures/') ? picture : '';
    if (source === this.#shown) return;
    this.#shown = source;
    show(this.#image, false);
    if (source) this.#image.src = source;
  }
}
