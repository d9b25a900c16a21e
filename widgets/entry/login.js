import { loadLanguage, loadMore } from '../catalogues/words.js';
import { keptLanguage, LoginPage } from '../elements/login-page.js';
import { applyTheme } from './theme.js';

const query = new URLSearchParams(location.search);
const wished = query.get('lang') ?? keptLanguage.get('lang');
applyTheme(query);
await loadLanguage(wished ? [wished] : navigator.languages);
await loadMore();
customElements.define('switchboard-login', LoginPage);
