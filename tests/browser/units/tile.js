import { Tile } from '../../../widgets/views/tile.js';
import { same } from './check.js';

const PEOPLE = { maya: 'Maya', noa: 'Noa' };

/**
 * A tile whose pictures come when the test says so.
 * @param {'seat'|'screen'} [kind]
 */
function seat(kind = 'seat') {
  let next = null;
  let turns = 0;
  const session = { mode: 'video', speaker: null, quality: {}, participant_id: 'me' };
  const shows = { mode: 'video', camera: true, screen: true };
  const tile = new Tile(kind, 0, () => {
    turns += 1;
    update();
  });
  tile.video.requestVideoFrameCallback = (onFrame) => {
    next = onFrame;
  };
  function update() {
    const name = PEOPLE[tile.participant] ?? '';
    const entry = { participant_id: tile.participant, name, role: 'guest', attendance: 'present', ...shows };
    tile.update(entry, session);
  }
  tile.setSeen(true);
  return {
    tile,
    /** @param {string} participant_id @param {{grade: string, reason: string|null}} quality */
    judge(participant_id, quality) {
      session.quality = { ...session.quality, [participant_id]: quality };
      update();
    },
    /** @param {string} mode This person's. @param {object} theirs What the other has and shows. */
    become(mode, theirs) {
      session.mode = mode;
      Object.assign(shows, theirs);
      update();
    },
    get note() {
      return tile.root.querySelector('.tile-note').textContent;
    },
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

/** Time that passes when the test says so, in each of the page's timers. @param {(pass: (ms: number) => void) => void} play */
function inOwnTime(play) {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const timers = new Map();
  let now = 0;
  let last = 0;
  globalThis.setTimeout = (call, ms) => {
    timers.set((last += 1), { call, at: now + ms });
    return last;
  };
  globalThis.clearTimeout = (id) => timers.delete(id);
  try {
    play((ms) => {
      now += ms;
      for (const [id, { call, at }] of timers) if (at <= now && timers.delete(id)) call();
    });
  } finally {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }
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
  'a face that stands still makes way for the name and the reason, until it moves': () =>
    inOwnTime((pass) => {
      const one = seat();
      one.start();
      one.assign('maya', 1_000);
      for (const timestamp of [1_000, 1_001]) {
        one.frame(timestamp);
        pass(2_900);
        same([...one.seen, one.note], ['Maya', 'yes', '']);
      }
      pass(100);
      same([...one.seen, one.note], ['Maya', 'no', 'waiting_picture']);
      one.judge('maya', { grade: 'poor', reason: 'bandwidth' });
      same(one.note, 'waiting_picture');
      one.judge('maya', { grade: 'poor', reason: 'silence' });
      same(one.note, 'colon');
      one.judge('maya', { grade: 'good', reason: null });
      same(one.note, 'waiting_picture');
      one.judge('me', { grade: 'poor', reason: 'bandwidth' });
      same(one.note, 'colon');
      one.frame(1_002);
      same([...one.seen, one.note], ['Maya', 'yes', '']);
    }),
  'a picture that does not come with voice only is missed in words, and so is who has voice only'() {
    for (const kind of ['seat', 'screen']) {
      const one = seat(kind);
      one.start();
      one.assign('maya', 1_000);
      one.frame(1_000);
      same([one.seen[1], one.note], ['yes', '']);
      one.become('voice', {});
      same([one.seen[1], one.note], ['no', 'not_shown']);
      one.become('voice', { mode: 'voice', camera: false, screen: false });
      same(one.note, 'voice_only');
      one.become('video', {});
      same(one.note, 'voice_only');
      one.become('video', { mode: 'video' });
      same(one.note, '');
    }
  },
  'a face that nobody sees is sent by nobody, and has its time when it is seen again': () =>
    inOwnTime((pass) => {
      const one = seat();
      one.start();
      one.assign('maya', 1_000);
      one.frame(1_000);
      pass(2_000);
      one.tile.setSeen(false);
      pass(60_000);
      same(one.seen, ['Maya', 'yes']);
      one.tile.setSeen(true);
      pass(2_900);
      same(one.seen, ['Maya', 'yes']);
      pass(100);
      same(one.seen, ['Maya', 'no']);
    }),
  'a screen may stand still for as long as nothing changes on it': () =>
    inOwnTime((pass) => {
      const one = seat('screen');
      one.start();
      one.assign('maya', 1_000);
      one.frame(1_000);
      pass(60_000);
      same(one.seen[1], 'yes');
    }),
  'one sees oneself from the first picture on, and until then who one is'() {
    const session = { mode: 'video', speaker: null, quality: {}, participant_id: 'me' };
    const me = { participant_id: 'me', name: 'Alex Berger', role: 'agent', attendance: 'present', microphone: true };
    let turns = 0;
    const tile = new Tile('self', 0, () => (turns += 1));
    /** @param {boolean} camera */
    const seen = (camera) => {
      tile.update({ ...me, camera }, session, true);
      return tile.root.dataset.picture;
    };
    tile.setStreams(new MediaStream(), null);
    same(seen(true), 'no');
    Object.defineProperty(tile.video, 'readyState', { value: HTMLMediaElement.HAVE_CURRENT_DATA });
    tile.video.dispatchEvent(new Event('loadeddata'));
    same([turns, seen(true)], [1, 'yes']);
    same(seen(false), 'no');
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
