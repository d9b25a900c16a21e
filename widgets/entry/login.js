import { learn } from '../catalogues/words.js';
import { Memory } from '../channel/memory.js';
import { LoginPage } from '../elements/login-page.js';
import { prepare } from './prepare.js';

const query = new URLSearchParams(location.search);
// The way leads over LivePerson's pages and back: the tab remembers what language it spoke.
const kept = new Memory('login');
const wished = query.get('lang') ?? kept.get('lang');
if (wished) query.set('lang', wished);
await prepare(query);
await learn('proof');
kept.set('lang', document.documentElement.lang);
customElements.define('switchboard-login', LoginPage);
