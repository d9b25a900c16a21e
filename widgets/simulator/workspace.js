import { Conversation, numeric, spectates } from './conversation.js';
import { readScene } from './scene.js';

/** The agent's workspace: the conversations that are open, one of them in front. */
const scene = await readScene();
const input = /** @type {HTMLTextAreaElement} */ (document.getElementById('input'));
const lines = /** @type {HTMLElement} */ (document.getElementById('lines'));
const list = /** @type {HTMLElement} */ (document.getElementById('conversations'));
/** All workspaces in which this conversation is open. */
const channel = new BroadcastChannel(`conversation-${scene.conversation}`);
const take = /** @type {HTMLButtonElement} */ (document.getElementById('take'));
const firstFrame = /** @type {HTMLIFrameElement} */ (document.getElementById('widget'));

/**
 * @param {string} name
 * @param {any} data
 */
function obey(name, data) {
  if (name === 'Write ChatLine') {
    input.value = [input.value, data.text].filter(Boolean).join(' ');
    input.focus();
  } else if (name === 'Write StructuredContent') {
    // A card is sent at once, as the reference has it.
    const { title, click } = data.json.elements[0];
    say(`${title}: ${click.actions[0].uri}`, 'agent');
  }
}

/** @param {string} text @param {string} by */
function say(text, by) {
  const line = document.createElement('p');
  line.className = by;
  line.textContent = text;
  lines.append(line);
  line.scrollIntoView({ block: 'end' });
}

const first = new Conversation(
  scene,
  firstFrame,
  { key: scene.conversation, visitor: scene.visitor, visitorName: scene.visitorName },
  obey,
);
/** Each has a frame of its own, which stays when another comes to the front. */
const conversations = [first, ...(scene.query.get('also')?.split(',') ?? []).map(another)];
let front = first;

/** @param {string} key */
function another(key) {
  const visitorName = `Visitor ${key}`;
  const frame = document.createElement('iframe');
  frame.title = `Video widget: ${visitorName}`;
  frame.hidden = true;
  firstFrame.after(frame);
  return new Conversation(scene, frame, { key, visitor: `v-${key}`, visitorName }, obey);
}

/** @param {Conversation} next */
function bringToFront(next) {
  for (const each of conversations) {
    each.frame.hidden = each !== next;
    if (each !== next) each.focus(false);
  }
  next.focus(true);
  front = next;
  showNames();
}

function showNames() {
  for (const node of document.querySelectorAll('h1 [data-visitor]')) node.textContent = front.visitorName;
  conversations.forEach((each, at) => {
    setCurrent(/** @type {Element} */ (list.children[at]), each === front);
  });
}

/** @param {Element} row @param {boolean} current */
function setCurrent(row, current) {
  row.classList.toggle('current', current);
  row.querySelector('button')?.setAttribute('aria-current', String(current));
}

conversations.forEach((each, at) => {
  const open = document.createElement('button');
  open.type = 'button';
  open.textContent = each.visitorName;
  open.addEventListener('click', () => bringToFront(each));
  const said = document.createElement('span');
  said.textContent = 'Is the oak table in stock?';
  const row = document.createElement('li');
  row.append(open, said);
  list.insertBefore(row, list.children[at] ?? null);
});
showNames();

/** The conversation is this agent's from now on. @param {{id: string, name: string}} agent */
function transferTo({ id, name }) {
  first.set({
    'chattingAgentInfo.agentId': numeric(id),
    'chattingAgentInfo.agentName': name,
    'chatInfo.spectatedEngagement': id !== scene.agentId,
  });
  take.hidden = id === scene.agentId || scene.role === 'supervisor';
}

channel.addEventListener('message', ({ data }) => transferTo(data));
take.hidden = !spectates(scene) || scene.role === 'supervisor';
take.addEventListener('click', () => {
  const me = { id: scene.agentId, name: scene.agentName };
  channel.postMessage(me);
  transferTo(me);
});
document.getElementById('send')?.addEventListener('click', () => {
  if (input.value.trim()) say(input.value.trim(), 'agent');
  input.value = '';
});
document.getElementById('reload')?.addEventListener('click', () => front.load());
for (const node of document.querySelectorAll('[data-agent]')) node.textContent = scene.agentName;
for (const node of document.querySelectorAll('[data-channel]')) node.textContent = scene.channel;
Object.assign(window, {
  simulator: {
    set: (/** @type {Record<string, unknown>} */ changes) => front.set(changes),
    get commands() {
      return front.commands;
    },
    of: (/** @type {string} */ key) => conversations.find((each) => each.key === key),
    focus: (/** @type {boolean} */ value) => front.focus(value),
  },
});
