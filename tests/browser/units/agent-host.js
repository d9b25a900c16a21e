import { AgentHost } from '../../../widgets/hosts/agent-host.js';
import { offerLink } from '../../../widgets/hosts/offer-link.js';
import { postponed, same } from './check.js';

/** A workspace that knows these values, and takes or refuses commands by name. */
async function host(values, refused = [], address = '') {
  const commands = [];
  let callbacks = {};
  globalThis.lpTag = {
    agentSDK: {
      cmdNames: { write: 'Write ChatLine', writeSC: 'Write StructuredContent' },
      init(given) {
        callbacks = given;
      },
      bind(path, callback, done) {
        if (path in values) callback({ key: path, newValue: values[path] });
        done();
      },
      command(name, data, done) {
        commands.push([name, data]);
        done(refused.includes(name) ? new Error('no') : undefined);
      },
    },
  };
  const made = new AgentHost(new URLSearchParams(address));
  await made.start();
  return { host: made, commands, callbacks };
}

const CONVERSATION = { 'chatInfo.accountId': 'acc', 'chatInfo.rtSessionId': 'c-1' };

export const tests = {
  'agent ids are one agent, however they are spelled': async () => {
    for (const chatting of [7, '7', ' 7 ', 'acc.7', 'acc:7']) {
      const { host: one } = await host({
        ...CONVERSATION,
        'agentInfo.agentId': 7,
        'chattingAgentInfo.agentId': chatting,
      });
      same([one.ids.agent_id, one.ids.chatting_agent_id, one.chatting], ['7', '7', true]);
    }
  },
  'whoever watches is not the agent of the conversation': async () => {
    const ids = { ...CONVERSATION, 'agentInfo.agentId': 7, 'chattingAgentInfo.agentId': 7 };
    same((await host({ ...ids, 'chatInfo.spectatedEngagement': true })).host.chatting, false);
    same((await host({ ...ids, 'chattingAgentInfo.agentId': 8 })).host.chatting, false);
    same((await host(CONVERSATION)).host.chatting, null);
  },
  'the session that was led is known after a reload, and in a window that is told in its address'() {
    const page = (address = '') => new AgentHost(new URLSearchParams(address));
    try {
      same([page().led, page('led=s1').led], ['', 's1']);
      page().led = 's2';
      same([page().led, page('led=s1').led], ['s2', 's2']);
      page().led = '';
      same(page('led=s1').led, '');
    } finally {
      sessionStorage.clear();
    }
  },
  'a colleague whose conversation it is has a name where the workspace says one': async () => {
    const ids = { ...CONVERSATION, 'agentInfo.agentId': 7, 'chattingAgentInfo.agentName': 'Dana' };
    const colleague = async (more) => (await host({ ...ids, ...more })).host.colleague;
    same(await colleague({ 'chattingAgentInfo.agentId': 8 }), 'Dana');
    same(await colleague({ 'chattingAgentInfo.agentId': 8, 'chattingAgentInfo.agentName': null }), '');
    same(await colleague({ 'chattingAgentInfo.agentId': 7 }), '');
    same(await colleague({}), '');
  },
  'a session id that is a number becomes a string': async () => {
    const { host: one } = await host({ ...CONVERSATION, 'chatInfo.rtSessionId': 4711 });
    same(one.ids.rt_session_id, '4711');
  },
  'an id that the workspace tells empty is what the address says': async () => {
    const { host: one } = await host({ ...CONVERSATION, 'visitorInfo.visitorName': '' }, [], 'accountId=acc&visitorName=Ada');
    same(one.ids.visitor_name, 'Ada');
  },
  'a script that comes late is found all the same': async () => {
    delete globalThis.lpTag;
    const late = new AgentHost(new URLSearchParams());
    const seen = new Promise((resolve) => late.addEventListener('change', () => resolve(late.status)));
    const started = late.start(0);
    same(await seen, 'absent');
    await host(CONVERSATION);
    await started;
    same([late.status, late.ids.rt_session_id], ['ready', 'c-1']);
  },
  'a conversation behind another is pointed at, once for each thing that goes on': async () => {
    const { host: one, commands, callbacks } = await host(CONVERSATION);
    one.signal('a session');
    same(commands, []);
    const told = new Promise((resolve) => one.addEventListener('change', resolve, { once: true }));
    callbacks.visitorBlurredCallback();
    await told;
    for (const what of ['', 'a session', 'a session', 'somebody asks', '', 'a session']) one.signal(what);
    const sent = ['Send Notification', {}];
    same(commands, [sent, sent, sent]);
    callbacks.visitorFocusedCallback();
    one.signal('somebody asks');
    same(commands.length, 3);
    callbacks.visitorBlurredCallback();
    one.signal('somebody asks');
    same(commands.length, 4);
  },
  'nobody looks for a workspace after the widget has left the page': async () => {
    delete globalThis.lpTag;
    const gone = new AgentHost(new URLSearchParams());
    const started = gone.start(60_000);
    gone.gone = true;
    await started;
    await host(CONVERSATION);
    same([gone.status, gone.canWrite, gone.ids], ['waiting', false, null]);
  },
  'what the workspace does not answer, or fails to do, it has not taken': async () => {
    const { host: one } = await host(CONVERSATION);
    const { agentSDK } = globalThis.lpTag;
    const patience = postponed(4_000);
    agentSDK.command = () => {};
    const written = one.write('Join us');
    patience.due();
    same(await written, false);
    agentSDK.command = () => {
      throw new Error('no');
    };
    same(await one.write('Join us'), false);
  },
  'in messaging a link is offered as a card': async () => {
    const { host: one, commands } = await host({ ...CONVERSATION, 'chatInfo.isMessaging': true });
    same(await offerLink(one, 'Join us', 'https://x/join#1'), true);
    const [[name, { json }]] = commands;
    same([name, commands.length], ['Write StructuredContent', 1]);
    same(json.elements[0].click.actions[0], { type: 'link', uri: 'https://x/join#1', name: 'Join us' });
  },
  'in chat, or where cards are refused, as a line': async () => {
    const line = ['Write ChatLine', { text: 'Join us https://x/join#1' }];
    const chat = await host({ ...CONVERSATION, 'chatInfo.isMessaging': false });
    await offerLink(chat.host, 'Join us', 'https://x/join#1');
    same(chat.commands, [line]);
    const refusing = await host({ ...CONVERSATION, 'chatInfo.isMessaging': true }, ['Write StructuredContent']);
    same(await offerLink(refusing.host, 'Join us', 'https://x/join#1'), true);
    same(refusing.commands[1], line);
  },
};
