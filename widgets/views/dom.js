import { icon } from './icons.js';

/** What of a view is in the page. @param {any} view It, or a node. */
const nodeOf = (view) => view.root ?? view;

/**
 * Make an element. Text goes in as text, never as markup.
 * @template {keyof HTMLElementTagNameMap} K @param {K} tag
 * @param {Record<string, any>} [props] `class`, `text`, `on` (listeners), or an attribute: true
 *   writes it empty, false and null leave it out.
 * @param {...Child} children @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') node.className = value;
    else if (name === 'text') node.textContent = value;
    else if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    } else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child) node.append(nodeOf(child));
  return node;
}

/** Screen readers notice every write. @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {HTMLElement|{root: HTMLElement}} view @param {boolean} shown */
export function show(view, shown) {
  const node = nodeOf(view);
  if (node.hidden === shown) node.hidden = !shown;
}

/** @param {Element} node @param {string} name @param {string|null} value Null takes it away. */
export function setAttr(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** A quiet screen: what is said, and what can be done. @param {Words} words @param {...Child} actions */
export function message({ title, help = '', busy = false, sign = 'camera' }, ...actions) {
  const mark = el('div', { class: busy ? 'mark pulse' : 'mark' }, icon(sign));
  const said = el('div', { class: 'said' }, mark, el('h1', { text: title }), help && el('p', { text: help }));
  return { root: el('div', { class: 'message' }, said, el('div', { class: 'actions' }, ...actions)) };
}
