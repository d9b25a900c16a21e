/** What `media.report` counts, as getStats calls it. */
const COUNTERS = {
  frames_decoded: 'framesDecoded',
  freezes: 'freezeCount',
  freeze_seconds: 'totalFreezesDuration',
  concealed_samples: 'concealedSamples',
  silent_concealed_samples: 'silentConcealedSamples',
  total_samples: 'totalSamplesReceived',
  packets_lost: 'packetsLost',
};
/** Packets lost since the last report that make a bad line. */
const LOSSY = 8;
/** Milliseconds that sound is then held: what repeats a frame comes a packet later. */
const HELD_MS = 80;

/** Turns counters of getStats into what `media.report` wants: what is new since the last. */
export class Reporter {
  /** @type {Map<string, Count>} */
  #before = new Map();

  /**
   * @param {Peer} peer
   * @returns {Promise<Record<string, unknown>[]>} The slots that received anything.
   */
  async measure(peer) {
    const stats = await peer.connection.getStats();
    /** @type {Map<string, any>} */
    const byMid = new Map();
    for (const entry of stats.values()) {
      if (entry.type === 'inbound-rtp' && entry.mid) byMid.set(entry.mid, entry);
    }
    const slots = [];
    let lost = 0;
    for (const { kind, index, mids } of peer.slots()) {
      const entries = mids.map((mid) => byMid.get(mid)).filter(Boolean);
      if (!entries.length) continue;
      const key = `${kind}:${index}`;
      const before = this.#before.get(key);
      /** @type {Count} */
      const now = {};
      /** @type {Count} */
      const fresh = {};
      for (const [name, stat] of Object.entries(COUNTERS)) {
        const sum = entries.reduce((all, entry) => all + (entry[stat] ?? 0), 0);
        const more = sum - (before?.[name] ?? 0);
        now[name] = sum;
        // Late packets may lower the loss; every other counter only rises.
        fresh[name] = stat === 'packetsLost' ? more : Math.max(0, more);
      }
      this.#before.set(key, now);
      lost += fresh.packets_lost ?? 0;
      if (!fresh.frames_decoded && !fresh.total_samples) continue;
      const jitter_seconds = Math.max(0, ...entries.map(({ jitter = 0 }) => jitter));
      slots.push({ kind, index, ...fresh, jitter_seconds });
    }
    for (const receiver of peer.connection.getReceivers()) {
      if (receiver.track.kind === 'audio') receiver.jitterBufferTarget = lost < LOSSY ? null : HELD_MS;
    }
    return slots;
  }
}
