/** Languages there is a catalogue for; each is one file with the same keys. */
export const LANGUAGES = ['en', 'de', 'es', 'fr', 'he', 'ja', 'pt'];

/** @type {Record<string, string>} */
let catalogue = {};

/**
 * Load the first wished language there is, and mark the document.
 * @param {readonly string[]} wished BCP 47 tags, best first.
 */
export async function loadLanguage(wished) {
  const language = wished.map(primary).find((one) => LANGUAGES.includes(one)) ?? 'en';
  catalogue = (await import(`./${language}.js`)).default;
  document.documentElement.lang = language;
  document.documentElement.dir = language === 'he' ? 'rtl' : 'ltr';
}

/** Learn what only some pages have to say, in the same language. @param {string} part A folder. */
export async function learn(part) {
  const { default: more } = await import(`./${part}/${document.documentElement.lang}.js`);
  catalogue = { ...catalogue, ...more };
}

/**
 * The sentence for a key, with its places filled in: each in the direction of its own writing.
 * @param {string} key @param {Record<string, string|number>} [values]
 */
export function say(key, values = {}) {
  const sentence = catalogue[key] ?? key;
  const said = sentence.replace(/\{(\w+)\}/gu, (place, name) => {
    const text = String(values[name] ?? place);
    const turns = document.dir === 'rtl' || /[\u0590-\u08ff\u202a-\u2069]/u.test(text);
    // Of an address the signs would become a part; whole sentences need none.
    return text && turns && name !== 'url' && key !== 'in_turn' ? `\u2068${text}\u2069` : text;
  });
  return said.trim();
}

/** Whether there is a sentence for a key that was put together. @param {string} key */
export function knows(key) {
  return key in catalogue;
}

/** What a person reads of it, by its stable code. @param {any} error What refused or broke a request. */
export function errorSentence(error) {
  // One that is gone was open once.
  const key = `error_${error?.code}`
    .replace(/(unknown|no)_invitation$/u, 'invitation_closed')
    .replace(/(message|protocol)_.*/u, 'malformed');
  return say(knows(key) ? key : 'error_other');
}

/** @param {string} tag */
function primary(tag) {
  const first = tag.toLowerCase().split('-')[0] ?? '';
  return first === 'iw' ? 'he' : first;
}
