import { allowDevices, readScene, widgetAddress } from './scene.js';

/**
 * The brand's page: `lpTag.events` of the page, the engagement window with its slider (the host
 * half of `lpTag.LPWidgetSDK`), and the launcher's one script tag.
 */
const scene = await readScene();
const page = /** @type {any} */ (window);
const frame = /** @type {HTMLIFrameElement} */ (document.getElementById('widget'));
const box = /** @type {HTMLElement} */ (document.getElementById('window'));
const opener = /** @type {HTMLButtonElement} */ (document.getElementById('opener'));
const counter = /** @type {HTMLElement} */ (document.getElementById('counter'));
const numeric = scene.query.get('numeric') === '1';

const STATES = {
  chat: ['preConversation', 'pending', 'accepted', 'interactive'],
  messaging: ['preConversation', 'inQueue', 'interactive'],
};
/** The current event of each kind. @type {Record<string, unknown>} */
const current = {
  engagementInfo: {
    site: scene.account,
    svid: scene.visitor,
    ssid: `monitoring-${scene.conversation}`,
    sessionKey: 'H_unverified',
    lang: 'en-GB',
    isPopOut: false,
    eid: 4_711,
    cid: 815,
  },
  uiWindow: { isMaximized: false },
  uiWidget: { isShown: false },
};
/** @type {Set<string>} */
const bound = new Set();
let envelopes = 0;
let notifications = 0;

/** @type {{app: string, name: string, callback: Function}[]} */
const listeners = [];
/** @type {{appName: string, eventName: string, data: unknown}[]} */
const fired = [];
page.lpTag = {
  site: scene.account,
  events: {
    /** @param {string} app @param {string} name @param {Function} callback */
    bind(app, name, callback) {
      listeners.push({ app, name, callback });
    },
    /** @param {string} app @param {string} name @param {Function} callback */
    unbind(app, name, callback) {
      const at = listeners.findIndex((one) => one.name === name && one.callback === callback);
      if (at >= 0) listeners.splice(at, 1);
    },
    /** What was before anybody listened. @param {string} app @param {string} name */
    hasFired: (app, name) => fired.filter(({ appName, eventName }) => appName === app && eventName === name),
  },
};

/** @param {string} name @param {unknown} data */
function publish(name, data) {
  const event = { appName: 'lpUnifiedWindow', eventName: name };
  fired.push({ ...event, data });
  for (const one of listeners.filter(({ app, name: bound_ }) => app === event.appName && bound_ === name)) {
    one.callback(data, event);
  }
}

/** @param {string} type @param {unknown} data */
function emit(type, data) {
  current[type] = data;
  if (bound.has(type)) post(type);
}

/** @param {string} type */
function post(type) {
  if (current[type] === undefined) return;
  envelopes += 1;
  const envelope = { id: `e${envelopes}`, type, data: current[type] };
  frame.contentWindow?.postMessage({ sdk: 'window', envelope }, scene.gateway);
}

window.addEventListener('message', (event) => {
  if (event.origin !== scene.gateway || event.source !== frame.contentWindow) return;
  if (event.data?.sdk !== 'window') return;
  const { kind, event: type } = event.data;
  if (kind === 'init') bound.clear();
  if (kind === 'bind') {
    bound.add(type);
    setTimeout(() => post(type), 5);
  }
  if (kind === 'notify') {
    // All that the SDK offers: a counter. It opens nothing.
    notifications += 1;
    showCounter();
  }
  if (kind === 'dispose') frame.remove();
});

function showCounter() {
  const unseen = box.hidden ? notifications : 0;
  if (!box.hidden) notifications = 0;
  counter.hidden = unseen === 0;
  counter.textContent = String(unseen);
}

/** Walk the conversation to where people talk. */
async function converse() {
  const late = Number(scene.query.get('late') ?? 0);
  const known = scene.windowConversation;
  const id = numeric && /^\d+$/u.test(known) ? Number(known) : known;
  for (const state of STATES[scene.channel]) {
    const started = state !== 'preConversation';
    if (started && late) await new Promise((resolve) => setTimeout(resolve, late));
    emit('conversationInfo', {
      state,
      channelType: scene.channel,
      startTime: String(Date.now()),
      ...(started ? { sessionId: scene.windowSession, conversationId: id } : {}),
      ...(started && scene.channel === 'messaging' ? { dialogId: `${known}-0`, dialogType: 'MAIN' } : {}),
    });
    publish('state', { state });
    if (started) publish('conversationInfo', { state, conversationId: id, visitorId: scene.visitor });
  }
  emit('participants', [
    { id: `consumer-${scene.visitor}`, name: scene.visitorName, type: 'visitor' },
    { id: `${scene.account}.${scene.agentId}`, name: scene.agentName, type: 'agent', imgPath: '', description: '' },
  ]);
}

/** @param {boolean} open */
function setWindow(open) {
  box.hidden = !open;
  opener.setAttribute('aria-expanded', String(open));
  if (open && !frame.src) frame.src = widgetAddress(scene, '/window', { widgetName: 'video' });
  emit('uiWindow', { isMaximized: open });
  emit('uiWidget', { isShown: open });
  publish(open ? 'maximized' : 'minimized', {});
  showCounter();
}

opener.addEventListener('click', () => setWindow(box.hidden));
document.getElementById('close')?.addEventListener('click', () => setWindow(false));
allowDevices(frame, scene);
if (scene.query.get('launcher') !== '0') {
  const tag = document.createElement('script');
  tag.async = true;
  tag.src = `${scene.gateway}/launcher.js`;
  for (const name of ['lang', 'theme']) {
    const value = scene.query.get(name);
    if (value) tag.dataset[name] = value;
  }
  document.head.append(tag);
}
for (const node of document.querySelectorAll('[data-agent]')) node.textContent = scene.agentName;
if (scene.query.get('window') === 'open') setWindow(true);

await converse();
Object.assign(window, { simulator: { emit, publish, setWindow, get notifications() { return notifications; } } });
