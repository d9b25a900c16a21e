import { errorSentence, learn, loadLanguage, say } from '../../../widgets/catalogues/words.js';
import { same } from './check.js';

/** Behind a name of other writing, a colon and what follows it would change sides. */
const apart = (/** @type {string} */ text) => `\u2068${text}\u2069`;

export const tests = {
  async 'a name of other writing is set apart from the sentence around it, and no other'() {
    await loadLanguage(['en']);
    same(say('sharing', { name: 'Noa Levi' }), 'Noa Levi shares the screen');
    same(say('colon', { a: 'נועה לוי (2)', b: '1:30' }), `${apart('נועה לוי (2)')}: 1:30`);
    same(say('sharing', { name: '\u202eNoa' }), `${apart('\u202eNoa')} shares the screen`);
  },

  async 'where one reads from the right, each is'() {
    await loadLanguage(['he']);
    try {
      same(say('ring_title', { name: 'Noa (Levi)' }), `שיחה נכנסת: ${apart('Noa (Levi)')}`);
      same(say('in_turn', { a: '', b: '' }), '');
    } finally {
      await loadLanguage(['en']);
    }
  },

  async 'what a sentence is put together from stands in the order of the page'() {
    await loadLanguage(['he']);
    const line = document.body.appendChild(document.createElement('p'));
    try {
      const first = say('in_turn', { a: 'אחת', b: say('over_lasted', { time: '12:34' }) });
      line.textContent = say('in_turn', { a: first, b: 'שלוש' });
      const text = /** @type {Text} */ (line.firstChild);
      const places = ['אחת', '12:34', 'שלוש'].map((word) => {
        const range = document.createRange();
        const at = text.data.indexOf(word);
        range.setStart(text, at);
        range.setEnd(text, at + word.length);
        return range.getBoundingClientRect().right;
      });
      same(places, [...places].sort((one, other) => other - one));
    } finally {
      line.remove();
      await loadLanguage(['en']);
    }
  },

  async 'what is refused for good is not to be tried again as it is'() {
    await loadLanguage(['en']);
    const said = 'The service does not understand this. Change what you wrote, or reload the page.';
    const codes = ['malformed', 'message_too_large', 'protocol_unsupported', 'ledger_away', 'no_invitation'];
    const again = 'That did not work. Please try again.';
    const gone = 'The invitation is no longer open.';
    same(codes.map((code) => errorSentence({ code })), [said, said, said, again, gone]);
  },

  async 'an address stays as it is, for whatever reads it'() {
    await loadLanguage(['he']);
    await learn('proof');
    const url = 'https://video.example.com/join#0123';
    try {
      same(say('link_text', { url }).endsWith(`: ${url}`), true);
    } finally {
      await loadLanguage(['en']);
    }
  },
};
