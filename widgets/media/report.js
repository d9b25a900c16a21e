/** What `media.report` counts, as getStats calls it. */
const COUNTERS = /** @type {[keyof Count, string][]} */ (
  Object.entries({
    frames_decoded: 'framesDecoded',
    freezes: 'freezeCount',
    freeze_seconds: 'totalFreezesDuration',
    concealed_samples: 'concealedSamples',
    silent_concealed_samples: 'silentConcealedSamples',
    total_samples: 'totalSamplesReceived',
    packets_lost: 'packetsLost',
  })
);
/** The share of the packets of sound that a bad line loses. */
const LOSSY = 0.02;
/** Milliseconds that sound is then held: what repeats a frame comes a packet later. */
const HELD_MS = 80;
/** For so many looks after the last loss. */
const LINGER = 10;

/** @param {Peer} peer */
export async function inboundOf({ connection }) {
  return [...(await connection.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
}

/** Turns counters of getStats into what is new since the last report. */
export class Reporter {
  /** @type {Map<string, Count>} */
  #before = new Map();

  /**
   * @param {any[]} inbound @param {Peer} peer
   * @returns {Record<string, unknown>[]} The slots that received anything.
   */
  measure(inbound, peer) {
    const byMid = new Map(inbound.map((entry) => [entry.mid, entry]));
    const slots = [];
    for (const { kind, index, mids } of slotsOf(peer)) {
      const entries = mids.map((mid) => byMid.get(mid)).filter(Boolean);
      if (!entries.length) continue;
      const key = `${kind}:${index}`;
      const before = this.#before.get(key);
      const now = /** @type {Count} */ ({});
      const fresh = /** @type {Count} */ ({});
      for (const [name, stat] of COUNTERS) {
        now[name] = total(entries, stat);
        const more = now[name] - (before?.[name] ?? 0);
        // Late packets may lower the loss; every other counter only rises.
        fresh[name] = stat === 'packetsLost' ? more : Math.max(0, more);
      }
      this.#before.set(key, now);
      if (!fresh.frames_decoded && !fresh.total_samples) continue;
      const jitter_seconds = Math.max(0, ...entries.map(({ jitter = 0 }) => jitter));
      slots.push({ kind, index, ...fresh, jitter_seconds });
    }
    return slots;
  }
}

/** Holds sound longer while a line loses, and for a while after. */
export class SoundHold {
  #lost = 0;
  #received = 0;
  #linger = 0;

  /** To be called about once a second. @param {any[]} inbound @param {Peer} peer */
  look(inbound, { connection }) {
    const sound = inbound.filter(({ kind }) => kind === 'audio');
    const lost = total(sound, 'packetsLost') - this.#lost;
    const received = total(sound, 'packetsReceived') - this.#received;
    this.#lost += lost;
    this.#received += received;
    this.#linger = lost > LOSSY * (lost + received) ? LINGER : this.#linger - 1;
    for (const receiver of connection.getReceivers()) {
      if (receiver.track.kind === 'audio') receiver.jitterBufferTarget = this.#linger > 0 ? HELD_MS : null;
    }
  }
}

/** @param {Peer} peer */
function slotsOf({ sections: { seats, screens } }) {
  return [
    ...seats.map(({ audio, video }, index) => ({ kind: 'seat', index, mids: [audio.mid, video.mid] })),
    ...screens.map(({ mid }, index) => ({ kind: 'screen', index, mids: [mid] })),
  ];
}

/** @param {any[]} entries @param {string} stat */
function total(entries, stat) {
  return entries.reduce((sum, entry) => sum + (entry[stat] ?? 0), 0);
}
