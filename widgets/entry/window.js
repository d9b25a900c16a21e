import { EngagementWidget } from '../elements/engagement-widget.js';
import { WindowHost } from '../hosts/window-host.js';
import { prepare } from './prepare.js';

const query = new URLSearchParams(location.search);
await prepare(query);
EngagementWidget.define(new WindowHost(query));
