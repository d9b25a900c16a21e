import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { lobby, message, told, Widget } from '../../../widgets/elements/widget.js';
import { wordButton } from '../../../widgets/views/buttons.js';
import { el, show } from '../../../widgets/views/dom.js';
import { same, settled } from './check.js';

customElements.define('unit-focus', class extends Widget {});
const nothing = () => {};

/**
 * What has the focus once these views have followed one another.
 * @param {...(() => View)} views The first has it.
 */
async function after(...views) {
  const widget = /** @type {Widget} */ (document.createElement('unit-focus'));
  document.body.append(widget);
  try {
    for (const [index, make] of views.entries()) {
      const view = widget.present(String(index), make);
      const { root } = view;
      // It learns of its situation in the same turn.
      view.update?.();
      if (index === 0) root.querySelector('button, input').focus();
      await settled();
    }
    const at = document.activeElement;
    return at === widget.firstElementChild ? 'the screen' : at?.textContent;
  } finally {
    widget.remove();
  }
}

const before = () => told('over_elsewhere', wordButton('close', nothing, 'primary'));

export const tests = {
  async 'what comes next has its first focus on what goes on, whatever stands before it'() {
    await loadLanguage(['en']);
    const [other, primary] = [wordButton('cancel', nothing), wordButton('try_again', nothing, 'primary')];
    same(await after(before, () => message({ title: '' }, other, primary)), 'Try again');
  },

  async 'and on the screen itself where all there is to press ends something'() {
    same(await after(before, () => lobby(/** @type {any} */ ({}))), 'the screen');
  },

  async 'what was hidden behind it has no focus'() {
    const [video, voice] = [wordButton('accept_video', nothing, 'go'), wordButton('accept', nothing)];
    const update = () => {
      show(video, false);
      voice.root.classList.add('go');
    };
    same(await after(before, () => ({ root: el('div', {}, video, voice), update })), 'Accept');
  },

  async 'who writes presses nothing by the next key'() {
    const writing = () => ({ root: el('div', {}, el('input')) });
    same(await after(writing, before), 'the screen');
  },
};
