import { EngagementWidget } from '../elements/engagement-widget.js';
import { FrameHost } from '../hosts/frame-host.js';
import { prepare } from './prepare.js';

const query = new URLSearchParams(location.search);
await prepare(query);
EngagementWidget.define(new FrameHost(query));
