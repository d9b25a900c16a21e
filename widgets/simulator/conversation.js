import { allowDevices, widgetAddress } from './scene.js';

/**
 * One conversation in the workspace, with the frame of its widget: the host half of
 * `lpTag.agentSDK`, a model of paths, and a frame that asks for them.
 */
export class Conversation {
  /** What the widget told the workspace, for tests. @type {{name: string, data: any}[]} */
  commands = [];
  key;
  visitorName;
  frame;
  #scene;
  #onCommand;
  /** @type {Record<string, unknown>} */
  #model;
  /** @type {Set<string>} */
  #bound = new Set();
  #initialised = false;

  /**
   * @param {import('./scene.js').Scene} scene @param {HTMLIFrameElement} frame
   * @param {{key: string, visitor: string, visitorName: string}} who
   * @param {(name: string, data: any) => void} onCommand Does what the widget commands.
   */
  constructor(scene, frame, { key, visitor, visitorName }, onCommand) {
    this.#scene = scene;
    this.#onCommand = onCommand;
    this.key = key;
    this.visitorName = visitorName;
    this.frame = frame;
    const own = scene.chatting === scene.agentId;
    this.#model = {
      'chatInfo.rtSessionId': key,
      'chatInfo.accountId': scene.account,
      'chatInfo.isMessaging': scene.channel === 'messaging',
      'chatInfo.spectatedEngagement': spectates(scene),
      'chatInfo.chatSkill': 'Furniture advice',
      'agentInfo.accountId': scene.account,
      'agentInfo.agentId': numeric(scene.agentId),
      'agentInfo.agentName': scene.agentName,
      'agentInfo.agentNickname': scene.agentName,
      'chattingAgentInfo.agentId': own && spectates(scene) ? 999_999 : numeric(scene.chatting),
      'chattingAgentInfo.agentName': own && spectates(scene) ? 'Somebody else' : scene.chattingName,
      'visitorInfo.visitorId': visitor,
      'visitorInfo.visitorName': visitorName,
      'visitorInfo.device': 'DESKTOP',
      'visitorInfo.chattingVisitorState': 'CHATTING',
    };
    if (scene.query.has('missing')) {
      for (const path of ['agentInfo.agentNickname', 'chattingAgentInfo.agentId', 'chatInfo.spectatedEngagement', 'visitorInfo.visitorName']) {
        delete this.#model[path];
      }
    }
    window.addEventListener('message', (event) => this.#onMessage(event));
    allowDevices(frame, scene);
    this.load();
  }

  /** Load the widget, again if it is there. */
  load() {
    this.#initialised = false;
    this.frame.src = widgetAddress(this.#scene, '/agent', { role: this.#scene.role });
  }

  /**
   * Change the model, as the workspace does when conversations move.
   * @param {Record<string, unknown>} changes
   */
  set(changes) {
    for (const [path, value] of Object.entries(changes)) {
      this.#model[path] = value;
      if (this.#bound.has(path)) this.#post({ kind: 'update', path, value });
    }
  }

  /** Say whether it is the conversation in front. @param {boolean} value */
  focus(value) {
    this.#post({ kind: 'focus', value });
  }

  /** @param {Record<string, unknown>} message */
  #post(message) {
    this.frame.contentWindow?.postMessage({ sdk: 'agent', ...message }, this.#scene.gateway);
  }

  /** @param {MessageEvent} event */
  #onMessage(event) {
    if (event.origin !== this.#scene.gateway || event.source !== this.frame.contentWindow) return;
    if (event.data?.sdk !== 'agent') return;
    const { kind, id, path, name, data } = event.data;
    if (kind === 'init') {
      this.#initialised = true;
      this.#bound.clear();
      return;
    }
    // Always asynchronous, as over the real bus.
    setTimeout(() => {
      if (!this.#initialised) {
        this.#post({ kind: 'answer', id, error: 'no channel defined, missing init?' });
      } else if (kind === 'command') {
        this.commands.push({ name, data });
        this.#onCommand(name, data);
        this.#post({ kind: 'answer', id, value: null });
      } else {
        if (kind === 'bind') this.#bound.add(path);
        const missing = !(path in this.#model);
        const failing = missing && this.#scene.query.get('missing') === 'error';
        const value = this.#model[path] ?? null;
        this.#post({ kind: 'answer', id, value, ...(failing ? { error: 'no data' } : {}) });
      }
    }, 5);
  }
}

/** Whether the agent watches somebody else's conversation. @param {import('./scene.js').Scene} scene */
export function spectates(scene) {
  return scene.query.get('spectate') === '1' || scene.chatting !== scene.agentId;
}

/** @param {string} text Agent ids are numbers on this side, where they can be. */
export function numeric(text) {
  return /^\d{1,15}$/u.test(text) ? Number(text) : text;
}
