import { allowDevices, readScene, widgetAddress } from './scene.js';

/** The host half of `lpTag.agentSDK`: a model of paths, and a frame that asks for them. */
const scene = await readScene();
const frame = /** @type {HTMLIFrameElement} */ (document.getElementById('widget'));
const input = /** @type {HTMLTextAreaElement} */ (document.getElementById('input'));
const lines = /** @type {HTMLElement} */ (document.getElementById('lines'));
const spectated = scene.query.get('spectate') === '1' || scene.chatting !== scene.agentId;
/** All workspaces in which this conversation is open. */
const channel = new BroadcastChannel(`conversation-${scene.conversation}`);
const take = /** @type {HTMLButtonElement} */ (document.getElementById('take'));

/** @type {Record<string, unknown>} */
const model = {
  'chatInfo.rtSessionId': scene.conversation,
  'chatInfo.accountId': scene.account,
  'chatInfo.isMessaging': scene.channel === 'messaging',
  'chatInfo.spectatedEngagement': spectated,
  'chatInfo.chatSkill': 'Furniture advice',
  'agentInfo.accountId': scene.account,
  'agentInfo.agentId': numeric(scene.agentId),
  'agentInfo.agentName': scene.agentName,
  'agentInfo.agentNickname': scene.agentName,
  'chattingAgentInfo.agentId': scene.chatting === scene.agentId && spectated ? 999_999 : numeric(scene.chatting),
  'chattingAgentInfo.agentName': scene.chatting === scene.agentId && spectated ? 'Somebody else' : scene.chattingName,
  'visitorInfo.visitorId': scene.visitor,
  'visitorInfo.visitorName': scene.visitorName,
  'visitorInfo.device': 'DESKTOP',
  'visitorInfo.chattingVisitorState': 'CHATTING',
};
if (scene.query.has('missing')) {
  for (const path of ['agentInfo.agentNickname', 'chattingAgentInfo.agentId', 'chatInfo.spectatedEngagement', 'visitorInfo.visitorName']) {
    delete model[path];
  }
}
/** @type {Set<string>} */
const bound = new Set();
/** What the widget told the workspace, for tests. @type {{name: string, data: any}[]} */
const commands = [];
let initialised = false;

/** @param {string} text Agent ids are numbers on this side, where they can be. */
function numeric(text) {
  return /^\d{1,15}$/u.test(text) ? Number(text) : text;
}

/** @param {Record<string, unknown>} message */
function post(message) {
  frame.contentWindow?.postMessage({ sdk: 'agent', ...message }, scene.gateway);
}

window.addEventListener('message', (event) => {
  if (event.origin !== scene.gateway || event.source !== frame.contentWindow) return;
  if (event.data?.sdk !== 'agent') return;
  const { kind, id, path, name, data } = event.data;
  if (kind === 'init') {
    initialised = true;
    bound.clear();
    return;
  }
  // Always asynchronous, as over the real bus.
  setTimeout(() => {
    if (!initialised) post({ kind: 'answer', id, error: 'no channel defined, missing init?' });
    else if (kind === 'command') answerCommand(id, name, data);
    else {
      if (kind === 'bind') bound.add(path);
      const missing = !(path in model);
      const failing = missing && scene.query.get('missing') === 'error';
      post({ kind: 'answer', id, value: model[path] ?? null, ...(failing ? { error: 'no data' } : {}) });
    }
  }, 5);
});

/**
 * @param {number} id
 * @param {string} name
 * @param {any} data
 */
function answerCommand(id, name, data) {
  commands.push({ name, data });
  if (name === 'Write ChatLine') {
    input.value = [input.value, data.text].filter(Boolean).join(' ');
    input.focus();
  } else if (name === 'Write StructuredContent') {
    // A card is sent at once, as the reference has it.
    const { title, click } = data.json.elements[0];
    say(`${title}: ${click.actions[0].uri}`, 'agent');
  }
  post({ kind: 'answer', id, value: null });
}

/**
 * Change the model, as the workspace does when conversations move.
 *
 * @param {Record<string, unknown>} changes
 */
function set(changes) {
  for (const [path, value] of Object.entries(changes)) {
    model[path] = value;
    if (bound.has(path)) post({ kind: 'update', path, value });
  }
}

function load() {
  initialised = false;
  frame.src = widgetAddress(scene, '/agent', { role: scene.role });
}

/** The conversation is this agent's from now on. @param {{id: string, name: string}} agent */
function transferTo({ id, name }) {
  set({
    'chattingAgentInfo.agentId': numeric(id),
    'chattingAgentInfo.agentName': name,
    'chatInfo.spectatedEngagement': id !== scene.agentId,
  });
  take.hidden = id === scene.agentId || scene.role === 'supervisor';
}

channel.addEventListener('message', ({ data }) => transferTo(data));
take.hidden = !spectated || scene.role === 'supervisor';
take.addEventListener('click', () => {
  const me = { id: scene.agentId, name: scene.agentName };
  channel.postMessage(me);
  transferTo(me);
});

/** @param {string} text @param {string} by */
function say(text, by) {
  const line = document.createElement('p');
  line.className = by;
  line.textContent = text;
  lines.append(line);
  line.scrollIntoView({ block: 'end' });
}

document.getElementById('send')?.addEventListener('click', () => {
  if (input.value.trim()) say(input.value.trim(), 'agent');
  input.value = '';
});
document.getElementById('reload')?.addEventListener('click', load);
for (const node of document.querySelectorAll('[data-visitor]')) node.textContent = scene.visitorName;
for (const node of document.querySelectorAll('[data-agent]')) node.textContent = scene.agentName;
for (const node of document.querySelectorAll('[data-channel]')) node.textContent = scene.channel;
allowDevices(frame, scene);
load();
Object.assign(window, {
  simulator: { set, commands, reload: load, focus: (/** @type {boolean} */ value) => post({ kind: 'focus', value }) },
});
