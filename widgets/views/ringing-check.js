import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { DeviceCheck } from './device-check.js';
import { el, setText } from './dom.js';

/** The check of the devices while it rings: who calls stays in sight, and the answers in reach. */
export class RingingCheck extends DeviceCheck {
  #client;
  #caller = el('b');

  /** @param {InvitedClient} client @param {(mode: Mode) => void} accept @param {() => void} refuse */
  constructor(client, accept, refuse) {
    const mode = () => client.session?.invitation?.mode ?? 'video';
    super(client.media, (right) => right !== 'send_video' || mode() === 'video');
    this.#client = client;
    /** @param {string} key @param {string} kind @param {() => void} act */
    const answer = (key, kind, act) =>
      wordButton(key, () => {
        // What is refused is said behind it.
        this.close();
        act();
      }, kind).root;
    const agree = answer('accept', 'go', () => accept(mode()));
    const answers = el('div', { class: 'row' }, agree, answer('decline', 'stop', refuse));
    const unseen = el('p', { class: 'fine', text: say('unseen') });
    this.root.append(el('footer', { class: 'panel-body' }, this.#caller, answers, unseen));
  }

  /** @override */
  update() {
    super.update();
    const name = this.#client.session?.invitation?.from_name || say('an_agent');
    setText(this.#caller, say('ring_title', { name }));
  }
}
