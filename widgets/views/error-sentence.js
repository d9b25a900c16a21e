import { knows, say } from '../catalogues/words.js';

/** @param {unknown} error A refusal of the broker. @returns {string} */
export function errorSentence(error) {
  const key = `error_${/** @type {{code?: string}} */ (error)?.code}`;
  return say(knows(key) ? key : 'error_other');
}
