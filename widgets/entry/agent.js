import { AgentWidget } from '../elements/agent-widget.js';
import { prepare } from './prepare.js';

await prepare(new URLSearchParams(location.search));
customElements.define('switchboard-agent', AgentWidget);
