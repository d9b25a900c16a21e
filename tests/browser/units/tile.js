import { Tile } from '../../../widgets/views/tile.js';
import { same } from './check.js';

const PEOPLE = { maya: 'Maya', noa: 'Noa' };

/** A seat's tile whose pictures come when the test says so. */
function seat() {
  let next = null;
  let turns = 0;
  const tile = new Tile('seat', 0, () => {
    turns += 1;
    update();
  });
  tile.video.requestVideoFrameCallback = (onFrame) => {
    next = onFrame;
  };
  function update() {
    const name = PEOPLE[tile.participant] ?? '';
    const entry = { participant_id: tile.participant, name, role: 'guest', attendance: 'present', camera: true };
    tile.update(entry, { mode: 'video', speaker: null, quality: {} }, { mirror: false, hasPicture: null });
  }
  return {
    assign(participant_id, video_timestamp) {
      tile.assign({ participant_id, video_timestamp });
      update();
    },
    start: () => tile.setStreams(new MediaStream(), new MediaStream()),
    /** @param {number|undefined} rtpTimestamp As the browser tells it with each frame, or not. */
    frame: (rtpTimestamp) => next(performance.now(), { rtpTimestamp }),
    get seen() {
      return [tile.root.querySelector('.tile-name').textContent, tile.root.dataset.picture];
    },
    get turns() {
      return turns;
    },
  };
}

export const tests = {
  'a tile changes its name at the frame from which on the relay sends somebody else'() {
    const one = seat();
    one.start();
    one.assign('maya', 1_000);
    same(one.seen, ['Maya', 'no']);
    one.frame(999);
    same(one.seen, ['Maya', 'no']);
    one.frame(1_000);
    same(one.seen, ['Maya', 'yes']);
    one.assign('noa', 9_000);
    for (const before of [4_000, 8_999]) one.frame(before);
    same(one.seen, ['Maya', 'yes']);
    one.frame(9_000);
    same(one.seen, ['Noa', 'yes']);
    // The stage is laid out anew for a change, not for every frame.
    const { turns } = one;
    one.frame(9_001);
    same(one.turns, turns);
  },
  'where the browser names no frame the name changes with the next'() {
    const one = seat();
    one.start();
    one.assign('maya', 1_000);
    one.frame(undefined);
    one.assign('noa', 9_000);
    one.frame(undefined);
    same(one.seen, ['Noa', 'yes']);
  },
  'by another connection there is no picture until its first'() {
    const one = seat();
    for (const timestamp of [1_000, 77]) {
      one.start();
      one.assign('maya', null);
      same(one.seen, ['Maya', 'no']);
      one.frame(timestamp);
      same(one.seen, ['Maya', 'yes']);
    }
  },
};
