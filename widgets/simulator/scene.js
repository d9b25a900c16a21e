/**
 * The choices of a demo page, from its address: a test or a report can name a whole situation.
 *
 * | Parameter | Values | Meaning |
 * | --- | --- | --- |
 * | `conversation` | text | what both sides meet by |
 * | `channel` | `chat`, `messaging` | which kind of conversation |
 * | `numeric` | `1` | ids of the window side come as numbers where they can |
 * | `ids` | `equal`, `different` | whether the window calls the conversation as the agent's side does |
 * | `late` | ms | the window side learns its ids later |
 * | `allow` | `0` | LivePerson's frames carry no `allow` attribute |
 * | `sdk` | `blocked`, `late:MS` | the host's script does not come, or comes late |
 * | `storage` | `blocked` | no storage and no cookie in the frames that load an SDK |
 * | `net` | `slow:MS` | what these frames send and are told takes so much longer |
 * | `missing` | `null`, `error` | nickname, chatting agent, spectating and the visitor's name are not in the agent's model: null, or an error |
 * | `as` | `colleague`, `supervisor` | who sits at this workspace, instead of the conversation's agent |
 * | `also` | text, text | further conversations that this workspace has open, each in a frame of its own |
 * | `spectate` | `1` | the agent watches somebody else's conversation |
 * | `window` | `open` | the engagement window starts open |
 * | `launcher` | `0` | the shop has no launcher |
 * | `agent`, `agentName`, `visitor`, `visitorName` | text | who meets |
 * | `lang`, `theme` | text | handed to the widgets |
 *
 * @typedef {object} Scene
 * @property {string} gateway
 * @property {string} account
 * @property {string} conversation
 * @property {string} windowSession What the window side calls `sessionId`.
 * @property {string} windowConversation What it calls `conversationId`.
 * @property {'chat'|'messaging'} channel
 * @property {string} agentId
 * @property {string} agentName
 * @property {string} chatting The agent whose conversation it is when the page opens.
 * @property {string} chattingName
 * @property {string} role What the demo's login is asked for: `agent` or `supervisor`.
 * @property {string} visitor
 * @property {string} visitorName
 * @property {URLSearchParams} query
 * @property {string} note
 */

/** What a framed widget wants of the page around it. */
export const FEATURES = ['camera', 'microphone', 'speaker-selection', 'display-capture', 'autoplay', 'fullscreen', 'clipboard-write'];
const STAFF = new Map([
  ['colleague', { id: '77', name: 'Dana' }],
  ['supervisor', { id: '78', name: 'Robin' }],
]);

/** @returns {Promise<Scene>} */
export async function readScene() {
  const query = new URLSearchParams(location.search);
  const config = await (await fetch('/demo-config.json', { cache: 'no-store' })).json();
  const other = STAFF.get(query.get('as') ?? '');
  const conversation = query.get('conversation') ?? 'demo-1';
  const channel = query.get('channel') === 'chat' ? 'chat' : 'messaging';
  return {
    gateway: config.gateway,
    account: config.account_id,
    conversation,
    ...windowIds(channel, conversation, query.get('ids')),
    channel,
    agentId: query.get('agent') ?? other?.id ?? config.agent_id,
    agentName: query.get('agentName') ?? other?.name ?? config.agent_name,
    chatting: other ? config.agent_id : (query.get('agent') ?? config.agent_id),
    chattingName: other ? config.agent_name : (query.get('agentName') ?? config.agent_name),
    role: query.get('as') === 'supervisor' ? 'supervisor' : 'agent',
    visitor: query.get('visitor') ?? `v-${conversation}`,
    visitorName: query.get('visitorName') ?? 'Maya Cohen',
    query,
    note: config.note ?? '',
  };
}

/**
 * In chat both sides share the session id, in messaging the conversation id; what the window's
 * other id holds is not documented.
 *
 * @param {'chat'|'messaging'} channel
 * @param {string} conversation
 * @param {string|null} ids
 */
function windowIds(channel, conversation, ids) {
  const equal = ids === 'equal' || (ids !== 'different' && channel === 'chat');
  return channel === 'chat'
    ? {
        windowSession: conversation,
        windowConversation: equal ? conversation : `lp-conversation-${conversation}`,
      }
    : {
        windowSession: equal ? conversation : `lp-session-${conversation}`,
        windowConversation: conversation,
      };
}

/**
 * The address of a framed widget, with what LivePerson's host adds to it.
 *
 * @param {Scene} scene
 * @param {string} path
 * @param {Record<string, string>} [more]
 */
export function widgetAddress(scene, path, more = {}) {
  const query = new URLSearchParams({ accountId: scene.account, ...more });
  for (const name of ['lang', 'theme', 'sdk', 'storage', 'net']) {
    const value = scene.query.get(name);
    if (value) query.set(name, value);
  }
  query.set('bust', String(Date.now()));
  query.set('lpHost', location.origin);
  return `${scene.gateway}${path}?${query}`;
}

/**
 * @param {HTMLIFrameElement} frame
 * @param {Scene} scene
 */
export function allowDevices(frame, scene) {
  if (scene.query.get('allow') === '0') return;
  frame.allow = FEATURES.map((feature) => `${feature} ${scene.gateway}`).join('; ');
}
