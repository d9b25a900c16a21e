import { say } from '../catalogues/words.js';
import { iconButton, wordButton } from './buttons.js';
import { el, setAttr, setText, show } from './dom.js';
import { icon } from './icons.js';
import { troubleSentence } from './trouble-sentence.js';

/** One line over the stage: what is wrong now, what still works, and the way out. */
export class Banner {
  #client;
  #words = el('p', {});
  #dismissed = '';
  #way;
  #canOpen;
  #root = el('div', { class: 'banner', role: 'status', hidden: true }, icon('warning'), this.#words);
  root = this.#root;

  /** @param {SessionClient} client @param {(() => void)|null} ownWindow */
  constructor(client, ownWindow) {
    this.#client = client;
    this.#way = wordButton(say('own_window'), () => ownWindow?.(), { kind: 'small' });
    this.#canOpen = ownWindow !== null;
    const close = iconButton(say('dismiss'), 'close', () => this.#dismiss(), 'quiet small');
    this.#root.append(this.#way.root, close.root);
  }

  update() {
    const { kind, text } = this.#situation();
    show(this.#root, text !== '' && text !== this.#dismissed);
    if (text === '') this.#dismissed = '';
    setText(this.#words, text);
    setAttr(this.#root, 'data-kind', kind);
    const { microphone, camera } = this.#client.media.troubles;
    const framed = [microphone, camera].some((one) => one === 'blocked_by_frame');
    show(this.#way.root, kind === 'devices' && framed && this.#canOpen);
  }

  /** The worst first. */
  #situation() {
    const { link, mediaState, media } = this.#client;
    const flows = mediaState === 'connected';
    if (link.status === 'reconnecting' || link.status === 'connecting') {
      return { kind: 'away', text: say(flows ? 'reconnecting_signal' : 'reconnecting') };
    }
    if (mediaState === 'failed') return { kind: 'away', text: say('media_failed') };
    if (mediaState === 'reconnecting') return { kind: 'away', text: say('reconnecting_media') };
    const trouble = troubleSentence(media.troubles);
    if (trouble) return { kind: 'devices', text: trouble };
    if (media.troubles.screen) return { kind: 'devices', text: say('trouble_screen') };
    return { kind: '', text: '' };
  }

  #dismiss() {
    this.#dismissed = this.#words.textContent ?? '';
    show(this.#root, false);
  }
}
