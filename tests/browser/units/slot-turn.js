import { retryDelay } from '../../../widgets/channel/channel.js';
import { engagementIds } from '../../../widgets/hosts/engagement-ids.js';
import { SlotTurn } from '../../../widgets/media/slot-turn.js';
import { same } from './check.js';

const view = (turn) => [turn.shown, turn.picture];
/** A seat as the relay tells of it; without a turn as an older one does. */
const seat = (participant_id, video_timestamp, turn) => ({ participant_id, video_timestamp, turn });

export const tests = {
  'an empty slot shows the name at once and the picture from the first own frame'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 9_000), 0);
    same(view(turn), ['maya', false]);
    turn.onFrame(8_999);
    same(view(turn), ['maya', false]);
    turn.onFrame(9_000);
    same(view(turn), ['maya', true]);
  },
  'the name changes at the frame where the person changes'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', null), 0);
    turn.onFrame(1);
    turn.assign(seat('noa', 5_000), 10);
    turn.onFrame(4_999);
    same(view(turn), ['maya', true]);
    turn.onFrame(5_000);
    same(view(turn), ['noa', true]);
  },
  'timestamps wrap around'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 10), 0);
    turn.onFrame(2 ** 32 - 5);
    same(turn.picture, false);
    turn.onFrame(12);
    same(turn.picture, true);
  },
  'nobody is shown under the name of another while frames stay out'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', null), 0);
    turn.onFrame(1);
    turn.assign(seat('noa', 5_000), 100);
    turn.tick(700);
    same(view(turn), ['maya', true]);
    turn.tick(900);
    same(view(turn), ['noa', false]);
    turn.onFrame(4_000);
    same(turn.picture, false);
    turn.onFrame(5_100);
    same(turn.picture, true);
  },
  'time changes nothing for somebody who has no picture yet'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', null), 0);
    turn.assign(seat('maya', null), 5_000);
    same([...view(turn), turn.turning], ['maya', false, false]);
  },
  'being told again does not put the turn off'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', null), 0);
    turn.onFrame(1);
    turn.assign(seat('noa', 5_000), 100);
    turn.assign(seat('noa', 5_000), 700);
    same(turn.turning, true);
    turn.tick(800);
    same([...view(turn), turn.turning], ['noa', false, false]);
  },
  'an unbound slot is blank at once'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', null), 0);
    turn.onFrame(1);
    turn.assign(seat(null, 700), 10);
    same(view(turn), [null, false]);
    turn.onFrame(800);
    same(view(turn), [null, false]);
  },
  'saying the same again changes nothing'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 10), 0);
    turn.onFrame(11);
    turn.assign(seat('maya', 10), 20);
    same([...view(turn), turn.turning], ['maya', true, false]);
  },
  'after the camera was off a new frame is waited for'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', null), 0);
    turn.onFrame(1);
    turn.conceal(10);
    same(view(turn), ['maya', false]);
    turn.onFrame(2);
    same(view(turn), ['maya', true]);
  },
  'a frame of a turn that nobody was told of is not shown, and is once its message has come'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 8_001, 1), 0);
    for (const own of [8_001, 11_009]) turn.onFrame(own);
    same(view(turn), ['maya', true]);
    turn.onFrame(16_002);
    same(view(turn), ['maya', false]);
    turn.assign(seat('noa', 16_002, 2), 300);
    same(view(turn), ['maya', false]);
    turn.onFrame(19_002);
    same(view(turn), ['noa', true]);
  },
  'a frame that came late from before does not stay away for good'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 8_001, 1), 0);
    turn.onFrame(8_001);
    turn.onFrame(7_000);
    same(view(turn), ['maya', false]);
    turn.onFrame(8_009);
    same(view(turn), ['maya', true]);
  },
  'who comes back before anybody was told of the other is shown by the new turn'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 8_001, 1), 0);
    turn.onFrame(8_001);
    turn.onFrame(16_002);
    turn.assign(seat('maya', 24_003, 3), 100);
    turn.onFrame(24_003);
    same(view(turn), ['maya', true]);
    turn.onFrame(24_010);
    same(view(turn), ['maya', false]);
  },
  'who sits down again while their own picture still shows is shown by the new turn'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 8_001, 1), 0);
    turn.onFrame(8_001);
    turn.assign(seat('maya', 24_003, 3), 100);
    same(view(turn), ['maya', true]);
    turn.onFrame(24_003);
    same(view(turn), ['maya', true]);
  },
  'a frame of the turn after next is nobody that was told of'() {
    const turn = new SlotTurn();
    turn.assign(seat('maya', 8_001, 1), 0);
    turn.onFrame(8_001);
    turn.assign(seat('noa', 16_002, 2), 0);
    turn.onFrame(24_003);
    same(turn.picture, false);
  },
  'the first retry is at once, later ones spread and bounded'() {
    same(retryDelay(0, 0.9), 0);
    same(retryDelay(1, 0), 100);
    for (let attempt = 1; attempt < 60; attempt += 1) {
      const [low, high] = [retryDelay(attempt, 0), retryDelay(attempt, 0.999)];
      same(low > 0 && low < high && high <= 15_000, true);
    }
  },
  'ids are trimmed strings and agents go by their last part'() {
    same(engagementIds({ account_id: ' 12 ', conversation_id: 77, visitor_id: null }), {
      account_id: '12',
      conversation_id: '77',
    });
    same(engagementIds({ conversation_id: 'c' }), null);
    const short = (agent_id) => engagementIds({ account_id: 'le8', agent_id }).agent_id;
    same(['le8.356', 'le8:356', 356].map(short), ['356', '356', '356']);
  },
};
