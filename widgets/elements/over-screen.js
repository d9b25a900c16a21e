import { say } from '../catalogues/words.js';
import { troubleBeforehand } from '../media/trouble.js';
import { Later } from '../views/later.js';
import { message, overWords } from './widget.js';

/** Have the stars at hand: at the end of a session the gateway may be out of reach. */
export function fetchRating() {
  return import('../views/rating.js');
}

/**
 * It is over: why, how it was if the guest likes to say, and what to do next.
 * @param {Over} over @param {boolean} own By whom the screen is of. @param {string} next How one can go on.
 * @param {...Child} actions @returns {View}
 */
export function overScreen(over, own, next, ...actions) {
  const rating = over.rating === null ? null : ratingLater(over.rating);
  const { title, help } = overWords(over, own);
  const failed = over.reason === 'failed' && troubleBeforehand() === 'no_webrtc' && say('trouble_no_webrtc');
  const more = over.reason === 'declined' ? say('over_declined_help') : failed || next;
  const screen = message({ title, help: say('in_turn', { a: help, b: more }), sign: 'end' }, rating, ...actions);
  return { ...screen, onClosed: () => rating?.close() };
}

/** @param {string} resume Who rates, sealed. */
function ratingLater(resume) {
  const rating = new Later(fetchRating, ({ ratingForm }) => ({ root: ratingForm(resume) }), () => {});
  // A page that cannot ask says nothing of it.
  rating.hasten(() => {});
  return rating;
}
