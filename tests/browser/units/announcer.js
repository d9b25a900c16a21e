import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { Announcer } from '../../../widgets/views/announcer.js';
import { same } from './check.js';

/**
 * A test of an announcer whose beats come when told to.
 * @param {(announcer: Announcer, said: () => string, beat: (times?: number) => string) => void} play
 */
function beaten(play) {
  return async () => {
    await loadLanguage(['en']);
    const { setTimeout: real } = globalThis;
    const due = [];
    globalThis.setTimeout = (call) => due.push(call);
    try {
      const announcer = new Announcer();
      const said = () => announcer.root.textContent;
      play(announcer, said, (times = 1) => {
        for (let count = 0; count < times; count += 1) due.shift()();
        return said();
      });
      same(due.length, said() === '' ? 0 : 1);
    } finally {
      globalThis.setTimeout = real;
    }
  };
}

const person = (id) => ({ participant_id: id, role: 'guest', name: id, attendance: 'present' });
const among = (...ids) => ({ participant_id: 'me', roster: ids.map(person), muted: null });

export const tests = {
  'what follows quickly waits for its turn, and the last stands longer': beaten((announcer, said, beat) => {
    announcer.tell('one');
    announcer.tell('two');
    same([said(), beat(), beat(2), beat()], ['one', 'two', 'two', '']);
    announcer.tell('three');
    same(said(), 'three');
  }),

  'of what waits about one thing the latest is said, and of too much the latest three': beaten((announcer, said, beat) => {
    announcer.tell('now');
    for (const text of ['a', 'b', 'c', 'd']) announcer.tell(text);
    announcer.tell('b again', 'b');
    same([said(), beat(), beat(), beat(), beat(3)], ['now', 'c', 'd', 'b again', '']);
  }),

  'what stands elsewhere is said and not shown, as that nobody is left': beaten((announcer, said, beat) => {
    const shown = () => [said(), announcer.root.classList.contains('shown')];
    announcer.tell('Noa waits', 'Noa waits', false);
    same([shown(), beat(3)], [['Noa waits', false], '']);
    announcer.update(among('me', 'Noa', 'Ben'));
    announcer.update(among('me', 'Noa'));
    same([shown(), beat(3)], [['Ben has left', true], '']);
    announcer.update(among('me'));
    same([shown(), beat(3)], [['Noa has left', false], '']);
  }),

  'who comes and goes at once is told to have gone': beaten((announcer, said, beat) => {
    announcer.update(among('me'));
    announcer.update(among('me', 'Noa'));
    announcer.update(among('me', 'Noa', 'Ben'));
    announcer.update(among('me', 'Noa'));
    same([said(), beat(), beat(3)], ['Noa is here', 'Ben has left', '']);
  }),

  'what a moderator stops is said each time, and not again by a view that comes later': beaten((announcer, said, beat) => {
    const stopped = () => ({ ...among('me', 'Noa'), muted: { by: 'Noa', sources: ['microphone'] } });
    announcer.update(stopped());
    same(said(), '');
    for (const news of [stopped(), stopped()]) {
      announcer.update(news);
      announcer.update(news);
      same([said(), beat(3)], ['Noa turned off your microphone', '']);
    }
  }),
};
