import { ConsolePage } from '../console/console-page.js';
import { applyTheme } from './prepare.js';

applyTheme(new URLSearchParams(location.search));
customElements.define('switchboard-console', ConsolePage);
