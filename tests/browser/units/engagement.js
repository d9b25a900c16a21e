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
    this.learn({ account_id: 'acc', conversation_id });
  }
  learn(ids) {
    this.ids = { ...this.ids, ...ids };
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
      host.learn({ visitor_id: 'v1' });
      host.become('second');
      const told = line.sent.filter(({ type }) => type === 'engagement.update');
      same(told.map(({ engagement: { conversation_id: at, visitor_id } }) => [at, visitor_id]), [['first', 'v1']]);
      // Whoever proved it for the one conversation may not stand at the other.
      line.close(1006);
      const back = await greeted(1);
      same(back.sent[0].engagement.conversation_id, 'first');
      back.welcome(true);
      back.hear({ type: 'session.ended', seq: 2, session_id: 's1', reason: 'ended_by_agent' });
      const [hello] = (await greeted(2)).sent;
      same(hello.engagement.conversation_id, 'second');
    } finally {
      widget.remove();
      globalThis.fetch = real;
    }
  },
};
