// Runs before every page of the `failover` scenario. It notes, in milliseconds since the epoch, when
// each remote picture was decoded and what the widget did between two homes of its session, and of
// which tenures (epochs) it had a snapshot.
(() => {
  const frames = [];
  const steps = [];
  const epochs = [];
  const now = () => performance.timeOrigin + performance.now();
  const step = (name) => steps.push([name, now()]);
  globalThis.benchmark = { frames, steps, epochs };

  const follow = async (track) => {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      frames.push(now());
      value.close();
    }
  };

  const Socket = globalThis.WebSocket;
  globalThis.WebSocket = class extends Socket {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', ({ data }) => {
        if (typeof data !== 'string') return;
        const message = JSON.parse(data);
        if (message.type === 'session.moved') step('told');
        if (message.type === 'session.snapshot') epochs.push(message.epoch);
      });
    }
  };

  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...given) {
      super(...given);
      this.addEventListener('track', ({ track }) => {
        if (track.kind === 'video') void follow(track);
      });
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') step('connected');
      });
    }

    async setLocalDescription(...given) {
      await super.setLocalDescription(...given);
      step('offered');
    }

    async setRemoteDescription(description) {
      await super.setRemoteDescription(description);
      step('answered');
    }
  };
})();
