import { engagementIds, idsFromQuery } from './engagement-ids.js';
import { sdkWhenThere } from './sdk-wait.js';

/**
 * The engagement window as the widget sees it: `lpTag.LPWidgetSDK`, or the page's own address
 * where its script stays out. It emits `change`.
 */
export class WindowHost extends EventTarget {
  /** No launcher tells of a ring, or lets it sound. */
  framed = false;
  active = false;
  /** Whether the host shows the widget to the person. */
  shown = true;
  /** The SDK has not come in the time that its script may take. */
  missing = false;
  /** The widget has left the page: nobody looks for the SDK any more. */
  gone = false;
  #query;
  /** @type {any} */
  #sdk = null;
  /** @type {Record<string, any>} */
  #data = {};
  #scheduled = 0;

  /** @param {URLSearchParams} query */
  constructor(query) {
    super();
    this.#query = query;
  }

  /** @param {number} [patienceMs] How long the SDK's script may take. */
  async start(patienceMs = 8_000) {
    const namespace = await sdkWhenThere(
      () => (this.gone ? null : globalThis.lpTag?.LPWidgetSDK),
      patienceMs,
      () => this.#late(true),
    );
    if (!namespace) return;
    this.#late(false);
    const events = namespace.API?.events ?? {};
    /** @type {Record<string, {func: (event: any) => void, context: unknown}>} */
    const bind = {};
    const names = [
      events.CONVERSATION_INFO ?? 'conversationInfo',
      events.ENGAGEMENT_INFO,
      events.PARTICIPANTS ?? 'participants',
      events.UI_WIDGET ?? 'uiWidget',
      events.UI_WINDOW ?? 'uiWindow',
    ];
    for (const name of names) {
      // Older windows lack some events: bind only what is named.
      if (name) bind[name] = { func: (event) => this.#onEvent(name, event), context: this };
    }
    this.#sdk = namespace.init({ bind });
    this.#changed();
  }

  /** @returns {EngagementIds|null} Null until there is a conversation. */
  get ids() {
    const given = idsFromQuery(this.#query);
    const { conversationInfo: conversation, engagementInfo: engagement, participants } = this.#data;
    /** @param {string} type */
    const first = (type) => Array.isArray(participants) && participants.find((one) => one?.type === type);
    const visitor = first('visitor');
    const ids = engagementIds(given, {
      account_id: given?.account_id ?? (this.#sdk?.getQuery?.('accountId') || engagement?.site),
      window_session_id: conversation?.sessionId,
      conversation_id: conversation?.conversationId,
      chatting_agent_id: first('agent')?.id,
      visitor_id: engagement?.svid,
      participant_visitor_id: visitor?.id,
      visitor_name: visitor?.name,
      channel: /^(chat|messaging)$/u.exec(conversation?.channelType)?.[0],
      is_pop_out: engagement?.isPopOut === true,
    });
    return ids?.window_session_id || ids?.conversation_id ? ids : null;
  }

  /** It can neither be opened nor closed. */
  show() {}

  /** Raise the window's counter: all that the SDK offers. @param {string} text */
  notify(text) {
    this.#sdk?.notify?.({ content: text });
  }

  /** @param {string} name @param {any} event */
  #onEvent(name, event) {
    this.#data[name] = event?.data ?? event;
    const { uiWidget, uiWindow } = this.#data;
    this.shown = uiWidget?.isShown !== false && uiWindow?.isMaximized !== false;
    this.#changed();
  }

  /** @param {boolean} missing */
  #late(missing) {
    this.missing = missing;
    this.#changed();
  }

  #changed() {
    clearTimeout(this.#scheduled);
    this.#scheduled = setTimeout(() => this.dispatchEvent(new Event('change')), 20);
  }
}
