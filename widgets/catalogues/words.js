/** Languages there is a catalogue for; each is its own file with the same keys. */
export const LANGUAGES = ['en', 'de', 'es', 'fr', 'he', 'ja', 'pt'];

/** @type {Record<string, string>} */
const catalogue = {};
let language = 'en';
/** What comes later. */
let later = ['later'];

/**
 * Load the first wished language there is, and mark the document.
 * @param {readonly string[]} wished BCP 47 tags, best first.
 * @param {...('agent'|'invited'|'proof'|'login')} parts What the page says besides.
 */
export async function loadLanguage(wished, ...parts) {
  language = wished.map(primary).find((one) => LANGUAGES.includes(one)) ?? 'en';
  if (parts.includes('agent')) later = ['later', 'staff'];
  await loadMore('.', ...parts);
  document.documentElement.lang = language;
  document.documentElement.dir = language === 'he' ? 'rtl' : 'ltr';
}

/**
 * Load more sentences, by default those of what is seldom wanted; from then on `say` knows them.
 * @param {...string} parts
 */
export async function loadMore(...parts) {
  const wanted = parts.length > 0 ? parts : later;
  const loaded = await Promise.all(wanted.map((part) => import(`./${part}/${language}.js`)));
  Object.assign(catalogue, ...loaded.map((one) => one.default));
}

/**
 * The sentence for a key, with its places filled in.
 * @param {string} key @param {Record<string, string|number>} [values]
 */
export function say(key, values = {}) {
  const sentence = catalogue[key] ?? key;
  return sentence.replace(/\{(\w+)\}/gu, (place, name) => String(values[name] ?? place)).trim();
}

/** @param {string} key */
export function knows(key) {
  return key in catalogue;
}

/** @param {any} error A refusal of the broker. @param {string} [otherwise] Where it has no sentence. */
export function errorSentence(error, otherwise = say('error_other')) {
  const key = `error_${error?.code}`;
  return knows(key) ? say(key) : otherwise;
}

/** @param {string} tag */
function primary(tag) {
  const first = tag.toLowerCase().split('-')[0] ?? '';
  return first === 'iw' ? 'he' : first;
}
