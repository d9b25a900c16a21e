import { say } from '../catalogues/words.js';
import { attend, wordButton } from './buttons.js';
import { CopyLine } from './copy-line.js';
import { el, setText, show } from './dom.js';

/** The consumer proves themselves by a link from this agent: one button that writes it. */
export class ConsumerLink {
  root;

  /** @param {(sentence: (url: string) => string) => Promise<string>} send What nobody wrote. */
  constructor(send) {
    const copy = new CopyLine(say('text_field'));
    const unwritten = el('div', { class: 'row', hidden: true }, copy.line, copy.button);
    const said = el('p', { class: 'fine', role: 'status' });
    const go = async () => {
      const line = await send((url) => say('link_text', { url }));
      setText(said, say(line ? 'unwritten' : 'written'));
      show(unwritten, line !== '');
      if (line) copy.show(line);
    };
    const { root } = wordButton('link_send', () => void attend(go(), said, root), 'wide', 'link');
    this.root = el('div', { class: 'actions' }, root, said, unwritten);
  }
}
