import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { Colleagues } from '../../../widgets/views/colleagues.js';
import { same, settled } from './check.js';

const DANA = { agent_id: '77', name: 'Dana', asked: 'free' };

/** An open panel whose broker knows these colleagues, and answers what is asked when told to. */
async function panel(colleagues, capabilities = ['invite']) {
  await loadLanguage(['en']);
  const root = document.createElement('section');
  root.tabIndex = -1;
  const waiting = [];
  const sent = [];
  const refusals = [];
  const client = {
    session: { capabilities },
    ask(message) {
      sent.push(message.type);
      if (message.type === 'colleague.list') return Promise.resolve({ colleagues: client.there });
      return new Promise((resolve, reject) => void waiting.push({ resolve, reject }));
    },
    there: colleagues,
  };
  const view = new Colleagues(client, (asked) => asked.catch((error) => refusals.push(error)), root);
  root.append(view.root);
  document.body.append(root);
  const look = async (there) => {
    client.there = there;
    root.dispatchEvent(new Event('panelopen'));
    await settled();
    root.dispatchEvent(new Event('panelclose'));
  };
  await look(colleagues);
  return {
    view, client, waiting, sent, refusals, look,
    buttons: () => [...root.querySelectorAll('button')],
    said: () => root.querySelector('[role=status]').textContent,
    focused: () => document.activeElement,
    root,
    close: () => root.remove(),
  };
}

export const tests = {
  async 'a look leaves the focus where it is'() {
    const { look, buttons, focused, close } = await panel([DANA]);
    const [button] = buttons();
    button.focus();
    await look([{ ...DANA, agent_id: '76', name: 'Ben' }, DANA]);
    same([buttons().length, buttons()[1] === button, focused() === button], [2, true, true]);
    close();
  },

  async 'a colleague who declines is named as one of us, not as a consumer'() {
    const { said, look, close } = await panel([{ ...DANA, asked: 'asked' }]);
    await loadLanguage(['ja']);
    try {
      await look([{ ...DANA, asked: 'declined' }]);
      same(said(), 'Danaさんが辞退しました');
    } finally {
      await loadLanguage(['en']);
      close();
    }
  },

  async 'who goes while focused leaves the focus to the panel'() {
    const { look, buttons, focused, root, view, close } = await panel([DANA]);
    buttons()[0].focus();
    await look([]);
    same([focused() === root, view.root.hidden], [true, true]);
    close();
  },

  async 'nobody is asked twice, and a refusal can be tried again'() {
    const { buttons, waiting, sent, refusals, look, focused, root, close } = await panel([DANA]);
    const [button] = buttons();
    button.focus();
    button.click();
    await look([DANA]);
    button.click();
    same([button.disabled, focused() === root, sent.filter((one) => one === 'colleague.ask').length], [true, true, 1]);
    waiting[0].reject('too many');
    await settled();
    same([button.disabled, refusals], [false, ['too many']]);
    close();
  },

  async 'a decline is said once, until the next is asked'() {
    const { buttons, waiting, look, client, said, close } = await panel([DANA]);
    const [button] = buttons();
    button.click();
    client.there = [{ ...DANA, asked: 'asked' }];
    waiting[0].resolve();
    await settled();
    same([button.disabled, button.textContent, said()], [true, 'Asked', '']);
    await look([{ ...DANA, asked: 'declined' }]);
    same([button.disabled, said()], [false, 'Dana declined']);
    button.click();
    same(said(), '');
    close();
  },

  async 'who may not invite sees nobody, and nobody is looked for'() {
    const { sent, view, close } = await panel([DANA], ['send_audio']);
    same([sent, view.root.hidden], [[], true]);
    close();
  },
};
