import { el } from './dom.js';

/** A control and its name. @param {string} name @param {HTMLElement} control */
export function field(name, control) {
  return el('label', { class: 'field' }, el('span', { text: name }), control);
}

/** @param {string} kind Its class. @param {() => unknown} send @param {...Child} parts */
export function form(kind, send, ...parts) {
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send();
  };
  return el('form', { class: kind, on: { submit } }, ...parts);
}
