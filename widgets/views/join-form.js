import { errorSentence, say } from '../catalogues/words.js';
import { canTalk, videoTrouble } from '../media/trouble.js';
import { attend, wordButton } from './buttons.js';
import { el, message, setText, show } from './dom.js';
import { field, form } from './fields.js';
import { deviceCheckLater } from './later.js';

/** A guest says who they are, looks at themselves if they like, and joins. */
export class JoinForm {
  #devices;
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  root;

  /** @param {LocalMedia} media @param {(name: string) => Promise<void>} join */
  constructor(media, join) {
    this.#devices = deviceCheckLater(media, () => {});
    const trouble = videoTrouble();
    const said = trouble && say(`trouble_${trouble}`);
    if (said && !canTalk(trouble)) {
      // The link stays good for another browser.
      this.root = message({ title: say('join_title'), help: said }).root;
      return;
    }
    const name = el('input', {
      type: 'text',
      maxlength: '80',
      required: true,
      autocomplete: 'name',
      'data-focus': true,
    });
    const button = wordButton('join', null, 'primary wide');
    const send = async () => {
      button.root.disabled = true;
      button.set(say('connecting'));
      setText(this.#error, '');
      try {
        await join(name.value.trim());
      } catch (error) {
        setText(this.#error, errorSentence(error));
        button.root.disabled = false;
        button.set(say('join'));
      }
    };
    const look = () => void attend(this.#devices.use((panel) => panel.show()), this.#error);
    const check = wordButton('check_first', look, 'plain');
    show(check, trouble === null);
    const wrong = el('p', { class: 'fine trouble', text: said });
    const entry = form('actions', send, field(say('your_name'), name), button, this.#error, check);
    this.root = message({ title: say('join_title'), help: say('join_help') }, wrong, entry).root;
    this.root.append(this.#devices.root);
  }

  update() {
    this.#devices.panel?.update();
  }

  onClosed() {
    this.#devices.close();
  }
}
