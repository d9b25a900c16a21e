import { errorSentence, say } from '../catalogues/words.js';
import { el, setAttr, setText } from './dom.js';
import { icon, setIcon } from './icons.js';

/**
 * @param {string} iconName @param {() => void} onClick
 * @param {string} [kind] `danger`, `quiet` or nothing. @returns {IconButton}
 */
export function iconButton(iconName, onClick, kind = '') {
  const sign = icon(iconName);
  const root = el('button', { type: 'button', class: `round ${kind}`, on: { click: onClick } }, sign);
  return {
    root,
    set(name, pressed) {
      setAttr(root, 'aria-label', name);
      setAttr(root, 'title', name);
      const off = pressed === false;
      root.toggleAttribute('data-off', off);
      setIcon(sign, iconName, off);
    },
  };
}

/**
 * @param {string} key Of its words. @param {(() => void)|null} onClick Null: it sends its form.
 * @param {string} [kind] Its looks, such as `primary wide`. @param {string} [iconName]
 */
export function wordButton(key, onClick, kind = '', iconName = '') {
  const words = el('span', { text: say(key) });
  const root = el(
    'button',
    { type: onClick ? 'button' : 'submit', class: `button ${kind}`, on: onClick && { click: onClick } },
    iconName && icon(iconName),
    words,
  );
  return {
    root,
    /** @param {string} text */
    set: (text) => setText(words, text),
  };
}

/**
 * See through what a click asked for: meanwhile its buttons rest, and what is refused is said.
 * @param {Promise<unknown>} asked @param {HTMLElement} said @param {...HTMLButtonElement} buttons
 */
export async function attend(asked, said, ...buttons) {
  const rest = (/** @type {boolean} */ disabled) => buttons.forEach((one) => (one.disabled = disabled));
  rest(true);
  setText(said, '');
  await asked.catch((error) => setText(said, errorSentence(error)));
  rest(false);
}
