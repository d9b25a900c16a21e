import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el } from './dom.js';

/** How a member of the staff could come into the live session: one button for each way. */
export class Ways {
  #join;
  #shown = '';
  root = el('div', { class: 'actions' });

  /** @param {(way: string) => Promise<unknown>} join Never rejects. */
  constructor(join) {
    this.#join = join;
  }

  /** @param {readonly string[]} ways */
  update(ways) {
    if (ways.join() === this.#shown) return;
    this.#shown = ways.join();
    const buttons = ways.map((way, index) => {
      const go = async () => {
        button.root.disabled = true;
        await this.#join(way);
        button.root.disabled = false;
      };
      const kind = index === 0 ? 'primary wide' : 'wide';
      const button = wordButton(say(`way_${way}`), () => void go(), { kind });
      return button.root;
    });
    this.root.replaceChildren(...buttons);
  }
}
