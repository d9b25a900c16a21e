// Runs before every page of the `congestion` scenario. It sends media through a shaper where one is
// there, and notes what arrives: `benchmark.sample()` reads the counters of all remote media.
(() => {
  const connections = new Set();

  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...given) {
      super(...given);
      connections.add(this);
    }

    async setRemoteDescription(description) {
      if (!globalThis.shapedPort) return super.setRemoteDescription(description);
      // The relay's only candidates stand in its answer: `candidate:… UDP PRIORITY ADDRESS PORT …`.
      const lines = [];
      for (const line of description.sdp.split('\r\n')) {
        const found = /^(a=candidate:\S+ \d+ udp \d+ )(\S+) (\d+)(.*)$/i.exec(line);
        if (!found) lines.push(line);
        else lines.push(`${found[1]}127.0.0.1 ${await globalThis.shapedPort(found[2], Number(found[3]))}${found[4]}`);
      }
      return super.setRemoteDescription({ type: description.type, sdp: lines.join('\r\n') });
    }
  };

  const sample = async () => {
    const sum = { height: 0, frames: 0, freezes: 0, frozen: 0, samples: 0, concealed: 0, silent: 0, lost: 0, energy: 0 };
    for (const connection of connections) {
      if (connection.connectionState !== 'connected') continue;
      for (const report of (await connection.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        if (report.kind === 'video') {
          sum.height = Math.max(sum.height, report.framesPerSecond ? report.frameHeight ?? 0 : 0);
          sum.frames += report.framesDecoded ?? 0;
          sum.freezes += report.freezeCount ?? 0;
          sum.frozen += report.totalFreezesDuration ?? 0;
        } else {
          sum.samples += report.totalSamplesReceived ?? 0;
          sum.concealed += report.concealedSamples ?? 0;
          sum.silent += report.silentConcealedSamples ?? 0;
          sum.lost += report.packetsLost ?? 0;
          sum.energy += report.totalAudioEnergy ?? 0;
        }
      }
    }
    return sum;
  };
  globalThis.benchmark = { sample };
})();
