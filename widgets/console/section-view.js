import { wordButton } from '../views/buttons.js';
import { el, setText, show } from '../views/dom.js';
import { keyed } from '../views/keyed.js';

/** @typedef {import('./sections.js').Section} Section */
/** @typedef {import('./sections.js').Row} Row */
/** @typedef {import('./sections.js').Deed} Deed */
/** @typedef {import('./sections.js').Look} Look */

/**
 * One list of the API as a table. Its parts name their roles: on a narrow screen styles lay the
 * rows out as cards, and a browser may then take the table for none.
 */
export class SectionView {
  #section;
  #act;
  #summary = el('span', { class: 'summary' });
  #problem = el('p', { class: 'trouble', role: 'status', hidden: true });
  #empty;
  #body = el('tbody', { role: 'rowgroup' });
  #scroll;
  #heading;
  root;

  /** @param {Section} section @param {(deed: Deed|Look) => Promise<void>} act */
  constructor(section, act) {
    this.#section = section;
    this.#act = act;
    this.#heading = el('h2', { tabindex: '-1' }, section.title, ' ', this.#summary);
    this.#empty = el('p', { class: 'fine', text: section.empty, hidden: true });
    const heads = section.columns.map(([name]) => el('th', { scope: 'col', role: 'columnheader', text: name }));
    if (section.deeds) {
      const unseen = el('span', { class: 'unseen', text: 'What to do' });
      heads.push(el('th', { scope: 'col', role: 'columnheader' }, unseen));
    }
    const head = el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads));
    this.#scroll = el(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': section.title, hidden: true },
      el('table', { role: 'table' }, head, this.#body),
    );
    this.root = el(
      'section',
      { 'data-section': section.path.split(/[?/]/)[0] + (section.path.includes('/') ? '-one' : '') },
      this.#heading,
      this.#problem,
      this.#empty,
      this.#scroll,
    );
  }

  /** @param {any} answer */
  update(answer) {
    const rows = this.#section.rows(answer);
    setText(this.#summary, this.#section.summary(answer));
    show(this.#problem, false);
    show(this.#empty, rows.length === 0);
    show(this.#scroll, rows.length > 0);
    keyed(
      this.#body,
      rows,
      this.#section.keyOf,
      () => new RowView(this.#section, this.#act),
      (view, row) => view.update(row),
      this.#heading,
    );
  }

  /** Bring it into sight: the list before it may be longer than the window. */
  focus() {
    this.#heading.focus();
  }

  /** What was shown stays, and is said to be old. @param {string} words */
  fail(words) {
    setText(this.#problem, words);
    show(this.#problem, words !== '');
  }

  /** What it was about is there no more. @param {string} words */
  over(words) {
    this.fail(words);
    setText(this.#summary, '');
    show(this.#scroll, false);
  }
}

class RowView {
  #section;
  #act;
  #cells;
  #last = el('td', { class: 'deeds', role: 'cell' });
  #deeds = '';
  root;

  /** @param {Section} section @param {(deed: Deed|Look) => Promise<void>} act */
  constructor(section, act) {
    this.#section = section;
    this.#act = act;
    this.#cells = section.columns.map(([name], index) =>
      index === 0
        ? el('th', { scope: 'row', role: 'rowheader' })
        : el('td', { role: 'cell', 'data-column': name }),
    );
    this.root = el('tr', { role: 'row' }, ...this.#cells, section.deeds && this.#last);
  }

  /** @param {Row} row */
  update(row) {
    this.#section.columns.forEach(([, read], index) => {
      const cell = this.#cells[index];
      if (cell) setText(cell, read(row));
    });
    const deeds = this.#section.deeds?.(row) ?? [];
    const names = deeds.map(({ name }) => name).join();
    if (names === this.#deeds) return;
    this.#deeds = names;
    this.#last.replaceChildren(...deeds.map((deed) => this.#button(deed)));
  }

  /** Asks once more before it acts; leaving it takes the question back. @param {Deed|Look} deed */
  #button(deed) {
    if ('opens' in deed) return wordButton(deed.name, () => void this.#act(deed), 'small').root;
    let asked = false;
    const ask = (/** @type {boolean} */ now) => {
      asked = now;
      button.set(now ? deed.certain : deed.name);
    };
    const button = wordButton(deed.name, async () => {
      if (!asked) {
        ask(true);
        return;
      }
      // Not disabled: that would take the focus. Another press meanwhile asks again.
      ask(false);
      button.root.setAttribute('aria-busy', 'true');
      await this.#act(deed);
      button.root.removeAttribute('aria-busy');
    }, 'small');
    button.root.addEventListener('blur', () => ask(false));
    return button.root;
  }
}
