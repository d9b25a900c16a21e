import { FrameHost } from '../../../widgets/hosts/frame-host.js';
import { WindowHost } from '../../../widgets/hosts/window-host.js';
import { same } from './check.js';

export const tests = {
  async 'a window whose script comes late is found all the same'() {
    delete globalThis.lpTag;
    const late = new WindowHost(new URLSearchParams());
    const seen = new Promise((resolve) =>
      late.addEventListener('change', () => resolve([late.ids, late.missing])),
    );
    const started = late.start(0);
    same(await seen, [null, true]);
    globalThis.lpTag = {
      LPWidgetSDK: {
        init({ bind }) {
          setTimeout(() => bind.conversationInfo.func({ data: { conversationId: 'c-1' } }));
          return { getQuery: () => 'acc' };
        },
      },
    };
    await started;
    await new Promise((resolve) => late.addEventListener('change', resolve));
    same([late.ids.conversation_id, late.missing], ['c-1', false]);
  },

  async 'what the window tells counts, what it does not tell or tells empty the address says'() {
    globalThis.lpTag = {
      LPWidgetSDK: {
        init({ bind }) {
          const conversation = { sessionId: 7, conversationId: null, channelType: 'sms' };
          bind.conversationInfo.func({ data: conversation });
          bind.participants.func({ data: [null, { type: 'visitor', id: ' v-2 ', name: '' }] });
          return { getQuery: () => '' };
        },
      },
    };
    const address = 'accountId=acc&sessionId=s-1&conversationId=c-1&visitorName=Ada&channel=chat';
    const host = new WindowHost(new URLSearchParams(address));
    await host.start();
    same(host.ids, {
      account_id: 'acc',
      window_session_id: '7',
      conversation_id: 'c-1',
      visitor_name: 'Ada',
      channel: 'chat',
      participant_visitor_id: 'v-2',
      is_pop_out: false,
    });
  },

  async 'nobody looks for a window after the widget has left the page'() {
    delete globalThis.lpTag;
    const gone = new WindowHost(new URLSearchParams());
    let told = 0;
    gone.addEventListener('change', () => (told += 1));
    const started = gone.start(60_000);
    gone.gone = true;
    await started;
    await new Promise((resolve) => setTimeout(resolve, 30));
    same(told, 0);
  },

  'a page that no window frames waits for no script'() {
    const plain = new FrameHost(new URLSearchParams('accountId=acc&conversationId=c-2'));
    let told = 0;
    plain.addEventListener('change', () => (told += 1));
    plain.start();
    same([told, plain.shown, plain.ids.conversation_id], [1, true, 'c-2']);
  },
};
