import { GuestPage } from '../elements/guest-page.js';
import { prepare } from './prepare.js';

await prepare(new URLSearchParams(location.search));
customElements.define('switchboard-guest', GuestPage);
