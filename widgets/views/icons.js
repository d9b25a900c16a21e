/** Outlines on a 24 × 24 grid. @type {Record<string, string>} */
const PATHS = {
  microphone: 'M9 6a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0ZM5 11a7 7 0 0 0 14 0M12 18v3',
  camera: 'M3 7h12v10H3zM15 11l6-3.5v9L15 13',
  screen: 'M3 5h18v12H3zM9 20.5h6M12 13.5v-5M9.5 10.5 12 8l2.5 2.5',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14a6.5 6.5 0 0 1 3.5 6',
  phone: 'M6.5 4h3l1.5 4-2 1.5a11 11 0 0 0 5.5 5.5l1.5-2 4 1.5v3a1.5 1.5 0 0 1-1.6 1.5A15.5 15.5 0 0 1 5 5.6 1.5 1.5 0 0 1 6.5 4Z',
  more: 'M4.5 11.3h1.4v1.4H4.5ZM11.3 11.3h1.4v1.4h-1.4ZM18.1 11.3h1.4v1.4h-1.4Z',
  window: 'M14 4h6v6M20 4l-8 8M18 14v6H4V6h6',
  speaker: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4ZM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
};
const SVG = 'http://www.w3.org/2000/svg';

/** Know more of them. @param {Record<string, string>} paths */
export function addIcons(paths) {
  Object.assign(PATHS, paths);
}

/**
 * @param {string} name @param {boolean} [off] Struck through.
 * @returns {SVGSVGElement} Decoration: the control that holds it has the name.
 */
export function icon(name, off) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  setIcon(svg, name, off);
  return svg;
}

/** @param {SVGSVGElement} svg @param {string} name @param {boolean} [off] */
export function setIcon(svg, name, off = false) {
  const shown = name + off;
  if (svg.dataset.icon === shown) return;
  svg.dataset.icon = shown;
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name === 'end' ? 'phone' : name] + (off ? 'M4 4l16 16' : ''));
  if (name === 'end') path.setAttribute('transform', 'rotate(135 12 12)');
  // Where one reads from the right, one leaves and sends to the left.
  if (document.dir === 'rtl' && ['leave', 'send'].includes(name)) {
    path.setAttribute('transform', 'matrix(-1 0 0 1 24 0)');
  }
  svg.replaceChildren(path);
}
