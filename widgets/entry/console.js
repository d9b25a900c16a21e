import { ConsolePage } from '../console/console-page.js';
import { applyTheme } from './theme.js';

applyTheme(new URLSearchParams(location.search));
customElements.define('switchboard-console', ConsolePage);
