/** Outlines on a 24 × 24 grid. @type {Record<string, string>} */
const PATHS = {
  microphone: 'M9 6a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0ZM5 11a7 7 0 0 0 14 0M12 18v3',
  microphone_off: 'M9 9v2a3 3 0 0 0 4.6 2.5M15 10.5V6a3 3 0 0 0-5.7-1.3M5 11a7 7 0 0 0 10.7 6M19 11a7 7 0 0 1-.7 3M12 18v3M4 4l16 16',
  camera: 'M4 7h9a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1ZM15 11l6-3.5v9L15 13',
  camera_off: 'M10.5 7H13a2 2 0 0 1 2 2v2l6-3.5v9l-2.5-1.5M14.5 16.3A2 2 0 0 1 13 17H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1h1.5M4 4l16 16',
  screen: 'M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1ZM9 20.5h6M12 13.5v-5M9.5 10.5 12 8l2.5 2.5',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14a6.5 6.5 0 0 1 3.5 6',
  phone: 'M6.5 4h3l1.5 4-2 1.5a11 11 0 0 0 5.5 5.5l1.5-2 4 1.5v3a1.5 1.5 0 0 1-1.6 1.5A15.5 15.5 0 0 1 5 5.6 1.5 1.5 0 0 1 6.5 4Z',
  more: 'M4.5 11.3h1.4v1.4H4.5ZM11.3 11.3h1.4v1.4h-1.4ZM18.1 11.3h1.4v1.4h-1.4Z',
  window: 'M14 4h6v6M20 4l-8 8M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5',
  speaker: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4ZM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
};
const SVG = 'http://www.w3.org/2000/svg';

/** Know more of them. @param {Record<string, string>} paths */
export function addIcons(paths) {
  Object.assign(PATHS, paths);
}

/** @param {string} name @returns {SVGSVGElement} Decoration: the control that holds it has the name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  setIcon(svg, name);
  return svg;
}

/** @param {SVGSVGElement} svg @param {string} name */
export function setIcon(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name === 'end' ? 'phone' : name] ?? '');
  if (name === 'end') path.setAttribute('transform', 'rotate(135 12 12)');
  // Where one reads from the right, one leaves and sends to the left.
  if (document.dir === 'rtl' && ['leave', 'send'].includes(name)) {
    path.setAttribute('transform', 'matrix(-1 0 0 1 24 0)');
  }
  svg.replaceChildren(path);
}
