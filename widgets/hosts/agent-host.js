import { Memory } from '../channel/memory.js';
import { engagementIds, idsFromQuery } from './engagement-ids.js';
import { sdkWhenThere } from './sdk-wait.js';

const IDS = Object.entries({
  account_id: 'chatInfo.accountId',
  rt_session_id: 'chatInfo.rtSessionId',
  agent_id: 'agentInfo.agentId',
  chatting_agent_id: 'chattingAgentInfo.agentId',
  visitor_id: 'visitorInfo.visitorId',
  visitor_name: 'visitorInfo.visitorName',
});
/** So long a command may take. */
const COMMAND_MS = 4_000;
const PATHS = [
  ...IDS.map(([, path]) => path),
  'chatInfo.isMessaging',
  'chatInfo.spectatedEngagement',
  'agentInfo.agentName',
  'agentInfo.agentNickname',
  'chattingAgentInfo.agentName',
];

/**
 * The agent's workspace as the widget sees it: `lpTag.agentSDK`, or the page's own address where
 * there is none. It emits `change`.
 */
export class AgentHost extends EventTarget {
  /** @type {Record<string, unknown>} */
  values = {};
  /** `waiting`, `ready` or `absent`. */
  status = 'waiting';
  /** The widget has left the page. */
  gone = false;
  #query;
  #memory = new Memory('agent');
  /** @type {any} */
  #sdk = null;
  #scheduled = 0;
  /** Another conversation is in front. */
  #blurred = false;
  #signalled = '';

  /** @param {URLSearchParams} query */
  constructor(query) {
    super();
    this.#query = query;
  }

  /** @param {number} [patienceMs] How long the SDK's script may take. */
  async start(patienceMs = 8_000) {
    if (idsFromQuery(this.#query)?.rt_session_id) {
      this.#become('ready');
      return;
    }
    this.#sdk = await sdkWhenThere(
      () => (this.gone ? null : globalThis.lpTag?.agentSDK),
      patienceMs,
      () => this.#become('absent'),
    );
    if (!this.#sdk) return;
    const look = (/** @type {boolean} */ blurred) => () => {
      this.#blurred = blurred;
      this.#changed();
    };
    this.#sdk.init({ visitorFocusedCallback: look(false), visitorBlurredCallback: look(true) });
    this.#become('ready');
    for (const path of PATHS) {
      const update = (/** @type {{newValue: unknown}} */ { newValue }) => {
        this.values[path] = newValue;
        this.#changed();
      };
      // Null and an error both mean "not yet".
      this.#sdk.bind(path, update, () => {});
    }
  }

  /** @returns {EngagementIds|null} Null until account and session id are known. */
  get ids() {
    const given = idsFromQuery(this.#query);
    const { 'chatInfo.isMessaging': messaging, 'chatInfo.spectatedEngagement': spectated } = this.values;
    const channel = typeof messaging === 'boolean' ? (messaging ? 'messaging' : 'chat') : null;
    const told = Object.fromEntries(IDS.map(([id, path]) => [id, this.values[path]]));
    const ids = engagementIds(given, { ...told, channel, spectating: spectated === true });
    return ids?.rt_session_id ? ids : null;
  }

  get agentName() {
    const name = this.values['agentInfo.agentNickname'] ?? this.values['agentInfo.agentName'];
    return typeof name === 'string' && name ? name : (this.#query.get('agentName') ?? '');
  }

  /** May be empty. */
  get visitorName() {
    return String(this.ids?.visitor_name ?? '');
  }

  /** Whether the conversation is this agent's; null: the workspace does not say. */
  get chatting() {
    const { ids } = this;
    if (!ids?.agent_id || !ids.chatting_agent_id) return null;
    return ids.agent_id === ids.chatting_agent_id && ids.spectating !== true;
  }

  /**
   * The last session that this agent was in charge of while the conversation was theirs, also where
   * the page was loaded again or in a window of its own.
   */
  get led() {
    return this.#memory.get('led') ?? this.#query.get('led') ?? '';
  }

  set led(sessionId) {
    if (sessionId !== this.led) this.#memory.set('led', sessionId);
  }

  /** Whose it is, if another agent's; may be empty. */
  get colleague() {
    return this.chatting === false ? String(this.values['chattingAgentInfo.agentName'] ?? '') : '';
  }

  get canWrite() {
    return this.#sdk !== null;
  }

  /**
   * Put a line into the agent's input box; tells whether the workspace took it. Chat wants HTML,
   * messaging plain text: a line that needs no escaping serves both. @param {string} text
   */
  write(text) {
    return this.command('write', 'Write ChatLine', { text });
  }

  /**
   * @param {string} key Of the SDK's command names. @param {string} name Where it has none.
   * @param {object} data @returns {Promise<boolean>} Whether the workspace took it.
   */
  async command(key, name, data) {
    if (!this.#sdk) return false;
    return new Promise((resolve) => {
      setTimeout(() => resolve(false), COMMAND_MS);
      const command = this.#sdk.cmdNames?.[key] ?? name;
      this.#sdk.command(command, data, (/** @type {unknown} */ error) => resolve(!error));
    }).catch(() => false);
  }

  /**
   * Have the workspace point here, once for each thing, while another conversation is in front. How
   * is not documented.
   * @param {string} what Goes on here; may be empty.
   */
  signal(what) {
    const wanted = this.#blurred ? what : '';
    if (wanted && wanted !== this.#signalled) void this.command('notify', 'Send Notification', {});
    this.#signalled = wanted;
  }

  /** @param {string} status */
  #become(status) {
    this.status = status;
    this.#changed();
  }

  /** Values come one by one. */
  #changed() {
    clearTimeout(this.#scheduled);
    this.#scheduled = setTimeout(() => this.dispatchEvent(new Event('change')), 20);
  }
}
