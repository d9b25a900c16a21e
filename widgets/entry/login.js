import { loadLanguage } from '../catalogues/words.js';
import { ResumeMemory } from '../channel/resume-memory.js';
import { LoginPage } from '../elements/login-page.js';
import { applyTheme } from './theme.js';

const query = new URLSearchParams(location.search);
// The way leads over LivePerson's pages and back: the tab remembers what language it spoke.
const kept = new ResumeMemory('login');
const wished = query.get('lang') ?? kept.get('lang');
applyTheme(query);
await loadLanguage(wished ? [wished] : navigator.languages, 'proof', 'login');
kept.set('lang', document.documentElement.lang);
customElements.define('switchboard-login', LoginPage);
