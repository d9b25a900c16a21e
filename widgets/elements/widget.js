import { say } from '../catalogues/words.js';
import { clock } from '../session/select.js';
import { wordButton } from '../views/buttons.js';
import { message } from '../views/dom.js';

export { message };

/** Shows one view at a time, and loses no focus. */
export class Widget extends HTMLElement {
  /** @type {View|null} */
  #view = null;
  #name = '';
  #title = document.title;

  /**
   * Show a view; the same name keeps what is there.
   * @template {View} V @param {string} name @param {() => V} make @returns {V}
   */
  present(name, make) {
    if (name === this.#name && this.#view) return /** @type {V} */ (this.#view);
    const { activeElement: at, body } = document;
    // A button that is disabled loses it. The page around keeps its own.
    const lost = at === body && navigator.userActivation?.isActive;
    const held = document.hasFocus() && (lost || this.contains(at));
    this.#view?.onClosed?.();
    const view = make();
    this.#name = name;
    this.#view = view;
    this.dataset.view = name;
    this.replaceChildren(view.root);
    void import('./aloud.js').then(({ sayAloud }) => sayAloud(view.root), () => {});
    if (held) {
      view.root.tabIndex = -1;
      view.root.focus({ preventScroll: true });
      // On to what does no harm, once it is known what is hidden; the next key of who writes would press it.
      if (!at?.matches('input')) queueMicrotask(() => firstOf(view.root)?.focus({ preventScroll: true }));
    }
    return view;
  }

  /** @param {string} text Empty: the page's own title. */
  setTitle(text) {
    const title = text || this.#title;
    if (document.title !== title) document.title = title;
  }
}

/** @param {HTMLElement} root @returns {HTMLElement|null} */
const firstOf = (root) => root.querySelector(':is([data-focus], .primary, .go):not([hidden])');

/** One whose words have this key. @param {string} key @param {...Child} actions */
export function told(key, ...actions) {
  return message({ title: say(key), help: say(`${key}_help`) }, ...actions);
}

/** The session goes on in another place. @param {() => void} bring Take it from there. */
export function elsewhere(bring) {
  const words = { title: say('over_elsewhere'), help: say('over_elsewhere_help'), sign: 'window' };
  return message(words, wordButton('bring_back', bring, 'primary'));
}

/** The same, or nothing of it is left there. @param {Widget} widget @param {SessionClient} client */
export function presentAway(widget, client) {
  const bring = () => client.takeHere();
  widget.present(client.deserted ? 'deserted' : 'elsewhere', () => {
    if (!client.deserted) return elsewhere(bring);
    return message({ title: say('deserted'), sign: 'window' }, wordButton('bring_back', bring, 'primary'), leaving(client));
  });
}

/** Somebody inside has to let the person in. @param {SessionClient} client */
export function lobby(client) {
  const words = { title: say('lobby_title'), help: say('lobby_help'), busy: true, sign: 'people' };
  return message(words, leaving(client));
}

/** @param {SessionClient} client */
function leaving(client) {
  return wordButton('leave', () => void client.leave().catch(() => client.close()));
}

/**
 * Why it is over, in words; nobody is told what they did themselves.
 * @param {Over} over @param {boolean} own
 */
export function overWords(over, own) {
  const lasted = say('over_lasted', { time: clock(over.elapsedMs) });
  if (over.for !== 'session' && over.reason !== 'session_ended') {
    const title = over.by ? say('over_removed_by', { name: over.by }) : say(`over_${over.reason}`);
    const help = over.reason === 'grace_over' ? say('away_help') : '';
    return { title, help: over.reason === 'left' ? lasted : help };
  }
  const why = over.for === 'session' && !own ? say(over.reason) : '';
  return { title: say('over_title'), help: say('in_turn', { a: why, b: lasted }) };
}
