/** Outlines on a 24 × 24 grid. @type {Record<string, string>} */
const PATHS = {
  microphone: 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11a7 7 0 0 0 14 0M12 18v3',
  microphone_off: 'M9 9v2a3 3 0 0 0 4.6 2.5M15 10.500V6a3 3 0 0 0-5.700-1.300M5 11a7 7 0 0 0 10.700 6M19 11a7 7 0 0 1-.700 3M12 18v3M4 4l16 16',
  camera: 'M4 7h9a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1ZM15 11l6-3.500v9L15 13',
  camera_off: 'M10.500 7H13a2 2 0 0 1 2 2v2l6-3.500v9l-2.500-1.500M14.500 16.300A2 2 0 0 1 13 17H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1h1.500M4 4l16 16',
  screen: 'M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1ZM9 20.500h6M12 13.500v-5M9.500 10.500 12 8l2.500 2.500',
  people: 'M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM2.500 20a6.500 6.500 0 0 1 13 0M16 4.300a3.500 3.500 0 0 1 0 6.400M18 14a6.500 6.500 0 0 1 3.500 6',
  end: 'M3.500 14.500c-.900-1-.900-2.500.200-3.400C6 9.100 8.900 8 12 8s6 1.100 8.300 3.100c1.100.900 1.100 2.400.200 3.400l-.900 1c-.600.600-1.500.700-2.200.300l-1.900-1.100c-.600-.300-.900-1-.800-1.600l.100-.900a9 9 0 0 0-5.600 0l.100.900c.100.600-.200 1.300-.800 1.600l-1.900 1.100c-.700.400-1.600.300-2.200-.300l-.900-1Z',
  phone: 'M6.500 4h3l1.500 4-2 1.500a11 11 0 0 0 5.500 5.500l1.500-2 4 1.500v3a1.500 1.500 0 0 1-1.600 1.500A15.500 15.500 0 0 1 5 5.600 1.500 1.500 0 0 1 6.500 4Z',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9 9h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V10a1 1 0 0 1 1-1ZM16 9V5a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h3',
  send: 'M4 12 20 4l-5 16-3.500-6.500L4 12ZM11.500 13.500 20 4',
  add: 'M12 5v14M5 12h14',
  minimise: 'M6 15l6-6 6 6',
  restore: 'M6 9l6 6 6-6',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  window: 'M14 4h6v6M20 4l-8 8M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5',
  picture: 'M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1ZM12 12h6v4h-6z',
  swap: 'M4 8h13l-3-3M20 16H7l3 3',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5ZM9 19.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5Z',
  check: 'M5 12.500 10 17.500 19 7',
  warning: 'M12 4 2.500 20h19L12 4ZM12 10v4.500M12 17.300v.010',
  speaker: 'M4 9.500v5h3.500L12 18.500v-13L7.500 9.500H4ZM15.500 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11',
  leave: 'M14 4h5a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1h-5M10 8l-4 4 4 4M6 12h9',
  grid: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  crown: 'M4 18h16l1-10-5 4-4-7-4 7-5-4 1 10Z',
};
const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} name
 * @returns {SVGSVGElement} Decoration: the control that holds it has the name.
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(outline(name));
  return svg;
}

/**
 * @param {SVGSVGElement} svg
 * @param {string} name
 */
export function setIcon(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.replaceChildren(outline(name));
}

/** @param {string} name */
function outline(name) {
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name] ?? '');
  return path;
}
