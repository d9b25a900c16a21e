import { keyed } from '../../../widgets/views/keyed.js';
import { same } from './check.js';

/** A list of rows with two buttons each, in a place that can have the focus. */
function list(play) {
  const home = document.createElement('section');
  const parent = document.createElement('ul');
  home.tabIndex = -1;
  home.append(parent);
  document.body.append(home);
  const make = (name) => {
    const root = document.createElement('li');
    const buttons = ['admit', 'mute'].map((word) => Object.assign(document.createElement('button'), { className: word }));
    root.id = name;
    root.append(...buttons);
    return { root, buttons };
  };
  /** @param {string} names @param {string} [without] Whose first button is hidden. */
  const show = (names, without = '') =>
    keyed(parent, [...names], (name) => name, make, ({ buttons }, name) => {
      buttons[0].hidden = without.includes(name);
    });
  const focus = (name, at = 0) => document.getElementById(name).children[at].focus();
  const focused = () => {
    const at = document.activeElement;
    return at === home ? 'home' : `${at.closest('li')?.id ?? at.localName} ${at.className}`.trim();
  };
  try {
    play({ show, focus, focused, home });
  } finally {
    home.remove();
  }
}

export const tests = {
  'a button keeps the focus while its row moves'() {
    list(({ show, focus, focused }) => {
      show('abc');
      for (const order of ['cab', 'bac', 'xabc']) {
        focus('a', 1);
        show(order);
        same(focused(), 'a mute');
      }
    });
  },

  'where a button goes its row has the focus, wherever it stands by then'() {
    list(({ show, focus, focused }) => {
      show('abc');
      focus('a');
      show('bca', 'a');
      same(focused(), 'a');
      focus('b', 1);
      show('bca', 'ab');
      same(focused(), 'b mute');
    });
  },

  'where a row goes the next has the focus, then the one before, then who is at home'() {
    list(({ show, focus, focused }) => {
      show('abc');
      focus('b');
      for (const [names, at] of [['ac', 'c'], ['a', 'a'], ['', 'home'], ['d', 'home']]) {
        show(names);
        same(focused(), at);
      }
    });
  },

  'who is elsewhere stays there'() {
    list(({ show, focused, home }) => {
      show('ab');
      home.focus();
      show('b');
      same(focused(), 'home');
      home.blur();
      show('');
      same(focused(), 'body');
    });
  },
};
