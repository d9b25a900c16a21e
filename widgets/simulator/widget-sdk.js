/**
 * The widget half of the simulated Engagement Window Widget SDK: `lpTag.LPWidgetSDK`. Classic
 * script. `sdk=blocked` and `sdk=late:2000` in the frame's address as on the agent's side.
 */
(() => {
  'use strict';
  const query = new URLSearchParams(location.search);
  const host = query.get('lpHost') ?? '';
  const choice = query.get('sdk') ?? '';
  const source = /** @type {HTMLScriptElement} */ (document.currentScript).src;
  if (query.has('storage') || query.has('net')) {
    void import(new URL('hardships.js', source).href).then(({ befall }) => befall(query));
  }
  if (choice === 'blocked' || !host) return;

  const page = /** @type {any} */ (window);
  /** @type {{event: string, callback: Function, context: unknown}[]} */
  const bindings = [];
  const API = {
    appName: 'LivepersonWindowSDK',
    widgetName: 'widgetName',
    events: {
      CONVERSATION_INFO: 'conversationInfo',
      ENGAGEMENT_INFO: 'engagementInfo',
      MESSAGES: 'messages',
      PARTICIPANTS: 'participants',
      UI_WINDOW: 'uiWindow',
      UI_WIDGET: 'uiWidget',
    },
    commands: { NOTIFICATION: 'notification', DISPOSE: 'dispose' },
    states: {
      OFFLINE: 'offline',
      PRE_CONVERSATION: 'preConversation',
      PENDING: 'pending',
      ACCEPTED: 'accepted',
      IN_QUEUE: 'inQueue',
      INTERACTIVE: 'interactive',
      POST_CONVERSATION: 'postConversation',
      CONVERSATION_ENDED: 'ended',
      ERROR: 'error',
    },
  };

  /** @param {Record<string, unknown>} message */
  function post(message) {
    window.parent.postMessage({ sdk: 'window', ...message }, host);
  }

  window.addEventListener('message', (event) => {
    if (event.origin !== host || event.source !== window.parent || event.data?.sdk !== 'window') return;
    const { envelope } = event.data;
    for (const one of bindings.filter(({ event: name }) => name === envelope.type)) {
      one.callback.call(one.context, envelope);
    }
  });

  const instance = {
    /** @param {string} event @param {Function} callback @param {unknown} [context] */
    bind(event, callback, context = window) {
      bindings.push({ event, callback, context });
      post({ kind: 'bind', event });
    },
    /** @param {string} event @param {Function} callback @param {unknown} [context] */
    unbind(event, callback, context = window) {
      const at = bindings.findIndex(
        (one) => one.event === event && one.callback === callback && one.context === context,
      );
      if (at >= 0) bindings.splice(at, 1);
    },
    /** @param {unknown} [data] @param {Function} [done] */
    notify(data, done) {
      post({ kind: 'notify', data });
      if (done) setTimeout(done, 0);
    },
    /** @param {Function} [done] */
    dispose(done) {
      post({ kind: 'dispose' });
      if (done) setTimeout(done, 0);
    },
    /** @param {string} [key] */
    getQuery: (key) => (key ? (query.get(key) ?? undefined) : Object.fromEntries(query)),
  };
  const LPWidgetSDK = {
    version: 'simulated',
    name: 'LPWidgetSDK',
    API,
    /** @param {{bind?: Record<string, {func: Function, context: unknown}>}} [opts] */
    init(opts = {}) {
      post({ kind: 'init' });
      for (const [event, { func, context }] of Object.entries(opts.bind ?? {})) {
        instance.bind(event, func, context);
      }
      return instance;
    },
  };
  const define = () => {
    page.lpTag = { ...page.lpTag, LPWidgetSDK };
  };
  const late = /^late:(\d+)$/u.exec(choice);
  if (late) setTimeout(define, Number(late[1]));
  else define();
})();
