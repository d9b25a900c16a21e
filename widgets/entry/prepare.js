import { loadLanguage } from '../catalogues/words.js';

/** @param {URLSearchParams} query The page's. */
export async function prepare(query) {
  const wished = query.get('lang');
  applyTheme(query);
  // Held down on *End* it would go on to *Start*.
  addEventListener('keydown', (event) => event.repeat && event.key === 'Enter' && event.preventDefault(), true);
  await loadLanguage(wished ? [wished] : navigator.languages);
}

/** The look a host asked for. @param {URLSearchParams} query */
export function applyTheme(query) {
  const theme = query.get('theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
}
