import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { CopyLine } from './copy-line.js';
import { el, setText, show } from './dom.js';
import { errorSentence } from './trouble-sentence.js';

/** The consumer proves themselves by a link from this agent: one button that writes it. */
export class ConsumerLink {
  #line = new CopyLine(say('text_field'));
  #unwritten = el('div', { class: 'made', hidden: true }, this.#line.line, this.#line.button);
  #said = el('p', { class: 'fine', role: 'status' });
  #button = wordButton(say('link_send'), () => void this.#go(), { kind: 'wide', icon: 'link' });
  #send;
  root = el('div', { class: 'actions' }, this.#button.root, this.#said, this.#unwritten);

  /**
   * @param {(sentence: (url: string) => string) => Promise<string>} send What is left to hand over,
   *   where no workspace took it; else empty.
   */
  constructor(send) {
    this.#send = send;
  }

  async #go() {
    this.#button.root.disabled = true;
    setText(this.#said, '');
    try {
      const line = await this.#send((url) => say('link_text', { url }));
      show(this.#unwritten, line !== '');
      setText(this.#said, say(line ? 'unwritten' : 'written'));
      if (line) this.#line.show(line);
    } catch (error) {
      setText(this.#said, errorSentence(error));
    }
    this.#button.root.disabled = false;
  }
}
