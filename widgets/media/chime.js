/**
 * Two soft notes, to test the speaker or to ring once. Resolves when they have sounded.
 * @param {string} [speaker] Where, by device id.
 */
export async function chime(speaker = '') {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  // More browsers let a page choose the speaker of a player than that of a context.
  const player = new Audio();
  player.srcObject = out.stream;
  // Where the page has no say, or the device is gone, the system's serves.
  if (speaker) await player.setSinkId?.(speaker).catch(() => {});
  await player.play().catch(() => {});
  // Where sound is not allowed this stays out; later all that were refused would sound at once.
  await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 1_000))]);
  if (context.state === 'running') {
    await Promise.all([660, 880].map((pitch, index) => note(out, pitch, index * 0.18)));
  }
  await context.close();
}

/** @param {AudioNode} out @param {number} pitch @param {number} delay */
function note(out, pitch, delay) {
  const { context } = out;
  const start = context.currentTime + delay;
  const oscillator = new OscillatorNode(context, { frequency: pitch });
  const gain = new GainNode(context);
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(0.16, start + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.001, start + 0.5);
  oscillator.connect(gain).connect(out);
  oscillator.start(start);
  oscillator.stop(start + 0.55);
  return new Promise((resolve) => {
    oscillator.onended = resolve;
  });
}
