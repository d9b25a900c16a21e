import { inboundOf, Reporter, SoundHold } from '../../../widgets/media/report.js';
import { same } from './check.js';

/** A connection of two seats and a screen whose counters the test sets. */
function line() {
  const receivers = ['audio', 'video', 'audio', 'video', 'video'].map((kind) => ({
    track: { kind },
    jitterBufferTarget: null,
  }));
  const counters = receivers.map(({ track: { kind } }, index) => ({
    type: 'inbound-rtp',
    mid: String(index),
    kind,
    packetsReceived: 0,
    packetsLost: 0,
    totalSamplesReceived: 0,
    framesDecoded: 0,
  }));
  const sent = { type: 'outbound-rtp', kind: 'audio', mid: '5', packetsLost: 1_000 };
  const peer = {
    connection: {
      getStats: async () => new Map([...counters, sent].map((one) => [one.mid, one])),
      getReceivers: () => receivers,
    },
    sections: {
      seats: [
        { audio: { mid: '0' }, video: { mid: '1' } },
        { audio: { mid: '2' }, video: { mid: '3' } },
      ],
      screens: [{ mid: '4' }],
    },
  };
  const pass = (at, received, lost) => {
    counters[at].packetsReceived += received;
    counters[at].packetsLost += lost;
    counters[at][counters[at].kind === 'audio' ? 'totalSamplesReceived' : 'framesDecoded'] += received;
  };
  return {
    counters,
    pass,
    /** @param {Reporter} reporter */
    measure: async (reporter) => reporter.measure(await inboundOf(peer), peer),
    /** @param {SoundHold} hold */
    look: async (hold) => hold.look(await inboundOf(peer), peer),
    held: () => receivers.map(({ jitterBufferTarget }) => jitterBufferTarget),
  };
}

export const tests = {
  async 'what is new since the last report is told for each slot that received'() {
    const { measure, pass } = line();
    const reporter = new Reporter();
    pass(0, 100, 2);
    pass(1, 50, 1);
    await measure(reporter);
    pass(0, 10, 0);
    pass(4, 7, -1);
    const told = await measure(reporter);
    same(
      told.map(({ kind, index, total_samples, frames_decoded, packets_lost }) => [kind, index, total_samples, frames_decoded, packets_lost]),
      [['seat', 0, 10, 0, 0], ['screen', 0, 0, 7, -1]],
    );
  },

  async 'freezes and what was made up are told as what is new'() {
    const { counters, measure, pass } = line();
    const reporter = new Reporter();
    const happened = (freezes, seconds, concealed, silent) => {
      pass(0, 10, 0);
      pass(1, 10, 0);
      Object.assign(counters[0], { concealedSamples: concealed, silentConcealedSamples: silent, jitter: 0.01 });
      Object.assign(counters[1], { freezeCount: freezes, totalFreezesDuration: seconds, jitter: 0.03 });
    };
    happened(2, 1.5, 960, 480);
    await measure(reporter);
    happened(3, 2, 1_440, 720);
    const [told] = await measure(reporter);
    same(told, {
      kind: 'seat',
      index: 0,
      frames_decoded: 10,
      freezes: 1,
      freeze_seconds: 0.5,
      concealed_samples: 480,
      silent_concealed_samples: 240,
      total_samples: 10,
      packets_lost: 0,
      jitter_seconds: 0.03,
    });
  },

  async 'measuring changes no receiver'() {
    const { measure, pass, held } = line();
    pass(0, 50, 50);
    await measure(new Reporter());
    same(held(), [null, null, null, null, null]);
  },

  async 'sound is held from a loss of a fiftieth on, whatever is lost of pictures, and pictures never'() {
    const { look, pass, held } = line();
    const hold = new SoundHold();
    const free = [null, null, null, null, null];
    await look(hold);
    same(held(), free);
    pass(0, 48, 1);
    pass(2, 50, 1);
    pass(1, 1_000, 900);
    await look(hold);
    same(held(), free);
    pass(0, 48, 2);
    await look(hold);
    same(held(), [80, null, 80, null, null]);
  },

  async 'sound is held on for ten looks without a loss'() {
    const { look, pass, held } = line();
    const hold = new SoundHold();
    pass(0, 90, 10);
    for (let looks = 0; looks < 10; looks += 1) {
      await look(hold);
      same(held()[0], 80);
      pass(0, 50, 0);
    }
    await look(hold);
    same(held()[0], null);
  },
};
