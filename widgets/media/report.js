const ZERO = Object.freeze({
  frames_decoded: 0,
  freezes: 0,
  freeze_seconds: 0,
  concealed_samples: 0,
  silent_concealed_samples: 0,
  total_samples: 0,
  packets_lost: 0,
});

/** Turns the counters of getStats into what `media.report` wants: what is new since the last. */
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
      if (entry.type === 'inbound-rtp' && entry.mid !== undefined) byMid.set(entry.mid, entry);
    }
    const slots = [];
    for (const { kind, index, mids } of peer.slots()) {
      const entries = mids.map((mid) => byMid.get(mid)).filter(Boolean);
      if (entries.length === 0) continue;
      const count = total(entries);
      const key = `${kind}:${index}`;
      const fresh = since(count, this.#before.get(key) ?? ZERO);
      this.#before.set(key, count);
      if (fresh.frames_decoded === 0 && fresh.total_samples === 0) continue;
      const jitter = Math.max(0, ...entries.map((entry) => entry.jitter ?? 0));
      slots.push({ kind, index, ...fresh, jitter_seconds: jitter });
    }
    return slots;
  }
}

/** @param {any[]} entries @returns {Count} */
function total(entries) {
  /** @param {string} name */
  const sum = (name) => entries.reduce((all, entry) => all + (entry[name] ?? 0), 0);
  return {
    frames_decoded: sum('framesDecoded'),
    freezes: sum('freezeCount'),
    freeze_seconds: sum('totalFreezesDuration'),
    concealed_samples: sum('concealedSamples'),
    silent_concealed_samples: sum('silentConcealedSamples'),
    total_samples: sum('totalSamplesReceived'),
    packets_lost: sum('packetsLost'),
  };
}

/** @param {Count} now @param {Count} before @returns {Count} */
function since(now, before) {
  const fresh = { ...now };
  for (const name of /** @type {(keyof Count)[]} */ (Object.keys(ZERO))) {
    const difference = now[name] - before[name];
    // Late packets may lower the loss; every other counter only rises.
    fresh[name] = name === 'packets_lost' ? difference : Math.max(0, difference);
  }
  return fresh;
}
