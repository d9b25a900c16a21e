import { knows, say } from '../catalogues/words.js';

/**
 * What is wrong with this person's devices, in one sentence; empty when nothing is.
 * @param {LocalMedia['troubles']} troubles
 */
export function troubleSentence({ microphone, camera, screen }) {
  if (!microphone && !camera) return screen ? say('trouble_screen') : '';
  if (microphone && microphone === camera) {
    return first(`trouble_${microphone}_both`, `trouble_${microphone}`);
  }
  // Without a voice more is lost than without a picture.
  const [what, source] = microphone ? [microphone, 'microphone'] : [camera, 'camera'];
  return first(`trouble_${what}_${source}`, `trouble_${what}`);
}

/** @param {...string} keys */
function first(...keys) {
  return say(keys.find(knows) ?? keys[0] ?? '');
}
