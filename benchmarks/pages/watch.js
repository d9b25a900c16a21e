// Runs before every page of the `join` scenario, ours and the floor's alike. It notes, in
// milliseconds since the epoch, when the person clicked and when the first picture was decoded.
(() => {
  const marks = {};
  const now = () => performance.timeOrigin + performance.now();
  const mark = (name) => {
    marks[name] ??= now();
  };
  globalThis.benchmark = { marks };

  document.addEventListener('click', () => mark('click'), { capture: true });

  const firstFrame = async (track) => {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const { value } = await reader.read();
    if (value) mark('frame');
    value?.close();
    await reader.cancel();
  };

  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...given) {
      super(...given);
      this.addEventListener('track', ({ track }) => {
        if (track.kind === 'video') void firstFrame(track);
      });
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') mark('connected');
      });
    }

    async setRemoteDescription(description) {
      await super.setRemoteDescription(description);
      mark('described');
    }
  };
})();
