import { say } from '../catalogues/words.js';
import { CopyLine } from './copy-line.js';
import { el } from './dom.js';
import { Later } from './later.js';
import { Panel } from './panel.js';

/** Say that the browser opened no window, and give its address. @param {string} address */
export function offer(address) {
  const later = new Later(async () => {}, () => new Panel(say('own_window')), () => {});
  // Over the present view, and gone with it.
  document.querySelector('[data-view] > *')?.append(later.root);
  return later.use((panel) => {
    const link = new CopyLine(say('own_window'));
    panel.body.append(el('p', { text: say('no_window') }), link.line, link.button);
    panel.show();
    link.show(new URL(address, location.href).href);
  });
}
