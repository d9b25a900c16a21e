import { addIcons } from './icons.js';

// Outlines that only later parts show.
addIcons({
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M8 9h12v12H8zM16 9V4H4v12h4',
  send: 'M4 12 20 4l-5 16-3.5-6.5L4 12ZM11.5 13.5 20 4',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  picture: 'M3 5h18v14H3zM12 12h6v4h-6z',
  swap: 'M4 8h13l-3-3M20 16H7l3 3',
  settings: 'M4 7h9M13 4v6M17 7h3M4 17h3M7 14v6M11 17h9',
  grid: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1.5 1.5M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5',
  leave: 'M14 4h6v16h-6M10 8l-4 4 4 4M6 12h9',
});
