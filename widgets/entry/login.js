import { loadLanguage, loadMore } from '../catalogues/words.js';
import { LoginPage } from '../elements/login-page.js';
import { applyTheme } from './theme.js';

applyTheme(new URLSearchParams(location.search));
await loadLanguage(navigator.languages);
await loadMore();
customElements.define('switchboard-login', LoginPage);
