import english from './en.js';

/** Languages there is a catalogue for; each is its own file with the same keys. */
export const LANGUAGES = ['en', 'de', 'he'];
const RIGHT_TO_LEFT = new Set(['he', 'ar', 'fa']);

/** @type {Record<string, string>} */
let catalogue = english;

/**
 * Load the catalogue of the first wished language there is one for, and mark the document.
 *
 * @param {readonly string[]} wished BCP 47 tags, best first.
 * @returns {Promise<void>}
 */
export async function loadLanguage(wished) {
  const language = wished.map(primary).find((one) => LANGUAGES.includes(one)) ?? 'en';
  if (language !== 'en') {
    const loaded = await import(`./${language}.js`);
    catalogue = { ...english, ...loaded.default };
  }
  document.documentElement.lang = language;
  document.documentElement.dir = RIGHT_TO_LEFT.has(language) ? 'rtl' : 'ltr';
}

/**
 * The sentence for a key, with its places filled in.
 *
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 * @returns {string}
 */
export function say(key, values = {}) {
  const sentence = catalogue[key] ?? key;
  return sentence.replace(/\{(\w+)\}/gu, (place, name) => String(values[name] ?? place));
}

/** @param {string} key */
export function knows(key) {
  return key in catalogue;
}

/** @param {string} tag */
function primary(tag) {
  const language = tag.toLowerCase().split('-')[0] ?? '';
  return language === 'iw' ? 'he' : language;
}
