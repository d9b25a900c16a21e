import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { GuestLinks } from '../../../widgets/views/guest-links.js';
import { Outgoing } from '../../../widgets/views/outgoing.js';
import { same, settled, until } from './check.js';

const URL_MADE = 'https://video.example.com/join#0123';
const INVITATION = { state: 'sent', surfaces: [], visible: false, reason: null };

/** A client whose broker makes a link at once. */
async function client() {
  await loadLanguage(['en']);
  return {
    session: { roster: [], invitation: INVITATION },
    ask: () => Promise.resolve({ url: URL_MADE }),
  };
}

export const tests = {
  async 'a link that the workspace does not take is said to be copied instead'() {
    for (const [takes, button, said] of [
      [true, 'It is in your input box', 'The link works for one person, for one hour.'],
      [false, 'Put into conversation', 'It could not be put into the conversation. Copy it and send it there yourself.'],
    ]) {
      const { root } = new GuestLinks(await client(), (asked) => asked, async () => takes, document.body);
      root.querySelector('form').dispatchEvent(new Event('submit', { cancelable: true }));
      await settled();
      same(root.querySelector('[role=status]').textContent, 'The link works for one person, for one hour.');
      const put = root.querySelector('.made').querySelectorAll('button')[1];
      put.click();
      await settled();
      same([put.textContent, root.querySelector('[role=status]').textContent], [button, said]);
    }
  },

  async 'an offer that the workspace does not take is excused, and can be tried again'() {
    const taken = [];
    const host = { visitorName: 'Maya', canWrite: true, values: {}, write: async (line) => taken.push(line) > 1 };
    const outgoing = new Outgoing(await client(), (asked) => asked, host);
    outgoing.update();
    const offer = [...outgoing.root.querySelectorAll('button')].at(-1);
    for (const words of ['That did not work. Please try again.', 'The link is in the conversation']) {
      offer.click();
      await until(() => offer.textContent === words);
    }
    outgoing.close();
    same(taken, Array(2).fill(`Join our video session ${URL_MADE}`));
  },
};
