import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el, setText } from './dom.js';
import { errorSentence } from './trouble-sentence.js';

/** The consumer proves themselves by a link from this agent: one button that writes it. */
export class ConsumerLink {
  #said = el('p', { class: 'fine', role: 'status' });
  #button = wordButton(say('link_send'), () => void this.#go(), { kind: 'wide', icon: 'link' });
  #send;
  root = el('div', { class: 'actions' }, this.#button.root, this.#said);

  /** @param {(sentence: (url: string) => string) => Promise<boolean>} send Whether it was written. */
  constructor(send) {
    this.#send = send;
  }

  async #go() {
    this.#button.root.disabled = true;
    setText(this.#said, '');
    try {
      const written = await this.#send((url) => say('link_text', { url }));
      setText(this.#said, say(written ? 'written' : 'error_other'));
    } catch (error) {
      setText(this.#said, errorSentence(error));
    }
    this.#button.root.disabled = false;
  }
}
