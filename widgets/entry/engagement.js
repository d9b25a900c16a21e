import { loadLanguage } from '../catalogues/words.js';
import { EngagementWidget } from '../elements/engagement-widget.js';
import { applyTheme } from './theme.js';

const query = new URLSearchParams(location.search);
const wished = query.get('lang');
applyTheme(query);
await loadLanguage(wished ? [wished] : navigator.languages, 'invited');
customElements.define('switchboard-engagement', EngagementWidget);
