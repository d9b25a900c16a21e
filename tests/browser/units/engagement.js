import { EngagementWidget } from '../../../widgets/elements/engagement-widget.js';
import { same, until } from './check.js';
import { SNAPSHOT } from './client.js';
import { Wire } from './wire.js';

/** A window of the host's that shows the widget from the beginning. */
class Host extends EventTarget {
  ids = null;
  shown = true;
  active = false;
  framed = false;
  gone = false;
  start() {}
  show() {}
  notify() {}
  /** Another conversation is in it. */
  become(conversation_id) {
    this.ids = { account_id: 'acc', conversation_id };
    this.dispatchEvent(new Event('change'));
  }
}

export const tests = {
  async 'a conversation that came during the session is waited for once that is over'() {
    const { fetch: real } = globalThis;
    globalThis.fetch = async () => new Response('{"token": "t"}');
    const host = new Host();
    EngagementWidget.define(host);
    const widget = document.createElement('switchboard-engagement');
    try {
      Wire.made = [];
      document.body.append(widget);
      const greeted = (at) => until(() => Wire.made[at]?.sent.length && Wire.made[at]);
      host.become('first');
      const line = await greeted(0);
      line.welcome(true);
      line.hear(SNAPSHOT);
      host.become('second');
      await until(() => line.sent.some(({ type }) => type === 'engagement.update'));
      same(Wire.made.length, 1);
      line.hear({ type: 'session.ended', seq: 2, session_id: 's1', reason: 'ended_by_agent' });
      const [hello] = (await greeted(1)).sent;
      same(hello.engagement.conversation_id, 'second');
    } finally {
      widget.remove();
      globalThis.fetch = real;
    }
  },
};
