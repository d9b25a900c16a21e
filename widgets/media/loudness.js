/** Measures how loud a microphone is, for the meter of the device check. */
export class Loudness {
  #onLevel;
  /** @type {AudioContext|null} */
  #context = null;
  /** @type {MediaStreamTrack|null} */
  #track = null;

  /** @param {(level: number) => void} onLevel From 0 to 1, while listening. */
  constructor(onLevel) {
    this.#onLevel = onLevel;
  }

  /** @param {MediaStreamTrack|null} track */
  listen(track) {
    if (track === this.#track) return;
    this.stop();
    this.#track = track;
    if (!track) return;
    const context = new AudioContext();
    this.#context = context;
    const analyser = new AnalyserNode(context, { fftSize: 512 });
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const measure = () => {
      if (context !== this.#context) return;
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      this.#onLevel(Math.min(1, Math.sqrt(power) * 4));
      requestAnimationFrame(measure);
    };
    measure();
  }

  stop() {
    void this.#context?.close();
    this.#context = null;
    this.#track = null;
    this.#onLevel(0);
  }
}
