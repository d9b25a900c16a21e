import { loadLanguage } from '../catalogues/words.js';
import { AgentWidget } from '../elements/agent-widget.js';
import { applyTheme } from './theme.js';

const query = new URLSearchParams(location.search);
const wished = query.get('lang');
applyTheme(query);
await loadLanguage(wished ? [wished] : navigator.languages, 'agent');
customElements.define('switchboard-agent', AgentWidget);
