import { el, setAttr, setText } from './dom.js';
import { icon, setIcon } from './icons.js';

/**
 * A round button with a sign; its name is what is read out and shown on hover.
 * @param {string} name @param {string} iconName @param {() => void} onClick
 * @param {string} [kind] `danger`, `quiet` or nothing. @returns {IconButton}
 */
export function iconButton(name, iconName, onClick, kind = '') {
  const sign = icon(iconName);
  sign.dataset.icon = iconName;
  const root = el(
    'button',
    { type: 'button', class: `round ${kind}`, 'aria-label': name, title: name, on: { click: onClick } },
    sign,
  );
  return {
    root,
    set(newName, newIcon = iconName, pressed = null) {
      setAttr(root, 'aria-label', newName);
      setAttr(root, 'title', newName);
      setAttr(root, 'data-off', pressed === false ? '' : null);
      setIcon(sign, newIcon);
    },
  };
}

/**
 * A button with words, and a sign before them if wanted.
 * @param {string} name @param {() => void} onClick @param {{kind?: string, icon?: string}} [look]
 */
export function wordButton(name, onClick, look = {}) {
  const words = el('span', { text: name });
  const root = el(
    'button',
    { type: 'button', class: `button ${look.kind ?? ''}`, on: { click: onClick } },
    look.icon ? icon(look.icon) : null,
    words,
  );
  return {
    root,
    /** @param {string} text */
    set: (text) => setText(words, text),
  };
}
