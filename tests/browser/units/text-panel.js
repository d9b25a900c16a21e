import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { TextPanel } from '../../../widgets/views/text-panel.js';
import { same, settled } from './check.js';

/** A panel whose broker answers when told to. */
async function panel() {
  await loadLanguage(['en']);
  const sent = [];
  const refusals = [];
  const client = {
    ask: ({ text }) => new Promise((resolve, reject) => void sent.push({ text, resolve, reject })),
  };
  const texts = new TextPanel(client, (asked) => asked.catch((error) => refusals.push(error)));
  const { root } = texts;
  const submit = () => root.querySelector('form').dispatchEvent(new Event('submit', { cancelable: true }));
  return { texts, field: root.querySelector('input'), sent, refusals, submit };
}

export const tests = {
  async 'a line is sent once, however often Enter is pressed'() {
    const { field, sent, submit } = await panel();
    field.value = ' hello ';
    submit();
    submit();
    same(
      sent.map(({ text }) => text),
      ['hello'],
    );
  },

  async 'what is typed while a line is on its way stays'() {
    const { field, sent, submit } = await panel();
    field.value = 'first';
    submit();
    field.value = 'second';
    sent[0].resolve();
    await settled();
    same(field.value, 'second');
  },

  async 'a refused line comes back, and the refusal is told'() {
    const { field, sent, refusals, submit } = await panel();
    field.value = 'again';
    submit();
    same(field.value, '');
    sent[0].reject('too fast');
    await settled();
    same([field.value, refusals], ['again', ['too fast']]);
  },

  async 'a line that no panel shows is told, set apart from the writing around it'() {
    const { texts } = await panel();
    const lines = [{ id: 1, by: 'p1', name: 'מאיה', text: 'Good.' }];
    const told = () => texts.update({ lines, participant_id: 'p0' });
    same([told(), told()], [['\u2068מאיה\u2069: Good.'], []]);
  },

  async 'what others wrote is unread until the panel is open'() {
    const { texts } = await panel();
    const lines = [];
    const said = (...by) => {
      for (const one of by) lines.push({ id: lines.length + 1, by: one, name: one, text: 'Yes.' });
      return [texts.update({ lines, participant_id: 'p0' }).length, texts.unread];
    };
    same([said('p1', 'p2', 'p0'), said(), said('p1')], [[2, 2], [0, 2], [1, 3]]);
    texts.show();
    same([said(), said('p1')], [[0, 0], [0, 0]]);
    texts.close();
    same([said(), said('p0'), said('p2')], [[0, 0], [0, 0], [1, 1]]);
  },
};
