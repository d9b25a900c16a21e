/**
 * The look a host asked for: `theme` (`light` or `dark`) in the page's address.
 * @param {URLSearchParams} query
 */
export function applyTheme(query) {
  const theme = query.get('theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
}
