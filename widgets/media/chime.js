/**
 * Two soft notes, to test the speaker or to ring once. Resolves when they have sounded.
 * @param {string} [speaker] Where, by device id.
 */
export async function chime(speaker = '') {
  const context = /** @type {any} */ (new AudioContext());
  // Where a page has no say in it, or the device is gone, the system's own choice serves.
  if (speaker) await context.setSinkId?.(speaker).catch(() => {});
  await context.resume();
  await Promise.all([660, 880].map((pitch, index) => note(context, pitch, index * 0.18)));
  await context.close();
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
