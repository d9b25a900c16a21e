import { loadLanguage } from '../catalogues/words.js';
import { GuestPage } from '../elements/guest-page.js';
import { applyTheme } from './theme.js';

const query = new URLSearchParams(location.search);
const wished = query.get('lang');
applyTheme(query);
await loadLanguage(wished ? [wished] : navigator.languages, 'invited', 'guest');
customElements.define('switchboard-guest', GuestPage);
