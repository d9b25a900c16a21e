import { el } from '../views/dom.js';

/** Outlasts all views: screen readers tell of what changes, not of what comes with its words. */
const region = el('div', { role: 'status' });
Object.assign(region.style, { position: 'absolute', top: '0', height: '1px', width: '1px', clipPath: 'inset(50%)' });
// Closed: who searches the page meets the words once, on the screen.
const said = region.attachShadow({ mode: 'closed' });
let timer = 0;

/** Tell screen readers of a view that has come by itself. @param {HTMLElement} view */
export function sayAloud(view) {
  if (!region.isConnected) document.querySelector('main')?.append(region);
  clearTimeout(timer);
  // Until then the view has its words, and a frame that opens for it is seen.
  timer = setTimeout(() => {
    said.textContent = [...view.querySelectorAll('h1, h1 + p')].map((one) => one.textContent).join('. ');
  }, 300);
}
