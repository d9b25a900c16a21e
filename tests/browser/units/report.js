import { holdSound, Reporter } from '../../../widgets/media/report.js';
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
  const peer = {
    connection: {
      getStats: async () => new Map(counters.map((one) => [one.mid, one])),
      getReceivers: () => receivers,
    },
    slots: () => [
      { kind: 'seat', index: 0, mids: ['0', '1'] },
      { kind: 'seat', index: 1, mids: ['2', '3'] },
      { kind: 'screen', index: 0, mids: ['4'] },
    ],
  };
  const pass = (at, received, lost) => {
    counters[at].packetsReceived += received;
    counters[at].packetsLost += lost;
    counters[at][counters[at].kind === 'audio' ? 'totalSamplesReceived' : 'framesDecoded'] += received;
  };
  return { peer, receivers, pass, held: () => receivers.map(({ jitterBufferTarget }) => jitterBufferTarget) };
}

export const tests = {
  async 'what is new since the last report is told for each slot that received'() {
    const { peer, pass } = line();
    const reporter = new Reporter();
    pass(0, 100, 2);
    pass(1, 50, 1);
    await reporter.measure(peer);
    pass(0, 10, 0);
    pass(4, 7, -1);
    const told = await reporter.measure(peer);
    same(
      told.map(({ kind, index, total_samples, frames_decoded, packets_lost }) => [kind, index, total_samples, frames_decoded, packets_lost]),
      [['seat', 0, 10, 0, 0], ['screen', 0, 0, 7, -1]],
    );
  },

  async 'measuring changes no receiver'() {
    const { peer, pass, held } = line();
    pass(0, 50, 50);
    await new Reporter().measure(peer);
    same(held(), [null, null, null, null, null]);
  },

  async 'a line that loses sound is bad from a fiftieth on, whatever is lost of pictures'() {
    const { peer, pass } = line();
    const reporter = new Reporter();
    const loss = async () => {
      await reporter.measure(peer);
      return reporter.soundLoss;
    };
    same(await loss(), 0);
    pass(0, 245, 5);
    pass(2, 250, 0);
    pass(1, 1_000, 900);
    same(await loss(), 0.01);
    pass(0, 90, 10);
    same(await loss(), 0.1);
    pass(2, 100, 0);
    same(await loss(), 0);
  },

  'sound is held on a bad line only, and pictures never'() {
    const { peer, held } = line();
    holdSound(peer.connection, 0.021);
    same(held(), [80, null, 80, null, null]);
    holdSound(peer.connection, 0.02);
    same(held(), [null, null, null, null, null]);
  },
};
