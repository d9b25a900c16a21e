import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el, setText, show } from './dom.js';
import { errorSentence } from './trouble-sentence.js';

/** The consumer proves themselves by a link from this agent: one button that writes it. */
export class ConsumerLink {
  #line = el('input', { type: 'text', readonly: true, class: 'link', hidden: true, 'aria-label': say('text_field') });
  #said = el('p', { class: 'fine', role: 'status' });
  #button = wordButton(say('link_send'), () => void this.#go(), { kind: 'wide', icon: 'link' });
  #send;
  root = el('div', { class: 'actions' }, this.#button.root, this.#line, this.#said);

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
      this.#line.value = await this.#send((url) => say('link_text', { url }));
      show(this.#line, this.#line.value !== '');
      if (this.#line.hidden) setText(this.#said, say('written'));
      else {
        this.#line.focus();
        this.#line.select();
      }
    } catch (error) {
      setText(this.#said, errorSentence(error));
    }
    this.#button.root.disabled = false;
  }
}
