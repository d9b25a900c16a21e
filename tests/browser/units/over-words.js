import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { overWords } from '../../../widgets/elements/widget.js';
import { same } from './check.js';

const over = (reason, more = {}, own = false) =>
  overWords({ reason, for: 'me', elapsedMs: 65_000, by: '', ...more }, own);

export const tests = {
  async 'whoever is out by somebody is told by whom, where that is known'() {
    await loadLanguage(['en']);
    same(over('removed', { by: 'Alex' }), { title: 'Alex removed you from the session', help: '' });
    same(over('removed'), { title: 'You were removed from the session', help: '' });
  },
  async 'whoever was away for too long is told what became of their place'() {
    await loadLanguage(['en']);
    same(over('grace_over'), {
      title: 'You were away for too long',
      help: 'Your connection was gone, and your place was given up.',
    });
    same(over('left').help, 'The session lasted 1:05.');
  },
  async 'nobody is told that they ended it, and whoever did not is, also of another of their role'() {
    await loadLanguage(['en']);
    const helped = (own) => over('ended_by_agent', { for: 'session' }, own).help;
    same([helped(true), helped(false)], ['The session lasted 1:05.', 'The agent ended it. The session lasted 1:05.']);
  },
  async 'sentences follow one another as their language sets them'() {
    const helped = () => over('agent_absent', { for: 'session' }).help;
    await loadLanguage(['ja']);
    same(helped(), '担当者が長く不在でした。通話時間は1:05でした。');
    await loadLanguage(['en']);
    same(helped(), 'There was no agent for too long. The session lasted 1:05.');
  },
};
