/** Measures how loud a microphone is, for a meter, and plays the sounds the widgets make. */
export class Loudness {
  #onLevel;
  /** @type {AudioContext|null} */
  #context = null;
  /** @type {MediaStreamTrack|null} */
  #track = null;
  #frame = 0;

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
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const measure = () => {
      if (context !== this.#context) return;
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      this.#onLevel(Math.min(1, Math.sqrt(power) * 4));
      this.#frame = requestAnimationFrame(measure);
    };
    measure();
  }

  /** Two soft notes, to test the speaker or to ring once. */
  async chime() {
    const context = new AudioContext();
    await context.resume();
    const ended = [660, 880].map((pitch, index) => note(context, pitch, index * 0.18));
    await Promise.all(ended);
    await context.close();
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    void this.#context?.close();
    this.#context = null;
    this.#track = null;
    this.#onLevel(0);
  }
}

/** @param {AudioContext} context @param {number} pitch @param {number} delay */
function note(context, pitch, delay) {
  const start = context.currentTime + delay;
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.frequency.value = pitch;
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(0.16, start + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.001, start + 0.5);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(start);
  oscillator.stop(start + 0.55);
  return new Promise((resolve) => {
    oscillator.onended = resolve;
  });
}
