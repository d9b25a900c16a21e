import { randomText } from './random-text.js';

/**
 * A consumer's own secret: the same secret is the same consumer on another surface.
 * @param {string} key Account and conversation.
 * @param {string} [given] The secret of the surface that opened this one.
 */
export function claimSecret(key, given) {
  const name = `switchboard.claim.${key}`;
  const made = given ?? randomText(24);
  try {
    const kept = localStorage.getItem(name);
    if (kept && !given) return kept;
    localStorage.setItem(name, made);
  } catch {
    // Storage is refused: this surface is then a consumer of its own until the page goes.
  }
  return made;
}
