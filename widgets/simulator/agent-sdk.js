/**
 * The widget half of the simulated Agent Workspace SDK: `lpTag.agentSDK` as the reference lists
 * it. Classic script, as the real one. Options stand in the frame's address:
 * `sdk=blocked` defines nothing, `sdk=late:2000` comes after 2 s.
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
  let ready = false;
  let next = 1;
  const noop = () => {};
  /** @type {Map<number, {done: Function, failed: Function}>} */
  const waiting = new Map();
  /** @type {{path: string, callback: Function, id: number}[]} */
  const bindings = [];
  const focused = [noop];
  const blurred = [noop];

  /** @param {Record<string, unknown>} message */
  function post(message) {
    window.parent.postMessage({ sdk: 'agent', ...message }, host);
  }

  /**
   * @param {Record<string, unknown>} message
   * @param {Function} done
   * @param {Function} failed
   */
  function ask(message, done, failed) {
    if (!ready) {
      setTimeout(() => failed(new Error('no channel defined, missing init?')), 0);
      return 0;
    }
    const id = next++;
    waiting.set(id, { done, failed });
    post({ ...message, id });
    return id;
  }

  window.addEventListener('message', (event) => {
    if (event.origin !== host || event.source !== window.parent || event.data?.sdk !== 'agent') return;
    const { kind, id, path, value, error } = event.data;
    if (kind === 'answer') {
      const one = waiting.get(id);
      waiting.delete(id);
      if (error) one?.failed(new Error(error));
      else one?.done(value);
    } else if (kind === 'update') {
      for (const one of bindings.filter((binding) => binding.path === path)) {
        one.callback({ key: path, newValue: value });
      }
    } else if (kind === 'focus') {
      for (const listener of value ? focused : blurred) listener();
    }
  });

  const agentSDK = {
    v: 'simulated',
    name: 'agentSDK',
    cmdNames: {
      write: 'Write ChatLine',
      writeSC: 'Write StructuredContent',
      notify: 'Send Notification',
      sendFile: 'Send File',
    },
    /** @param {any} [callbacks] */
    init(callbacks = {}) {
      ready = true;
      focused.push(callbacks.visitorFocusedCallback ?? noop);
      blurred.push(callbacks.visitorBlurredCallback ?? noop);
      post({ kind: 'init' });
    },
    /** @param {string} path @param {Function} done @param {Function} [failed] */
    get(path, done, failed = noop) {
      ask({ kind: 'get', path }, done, failed);
    },
    /** @param {string} path @param {Function} callback @param {Function} [done] */
    bind(path, callback, done = noop) {
      // The existing value comes first, asynchronously; then every change.
      const first = (/** @type {unknown} */ value) => {
        if (value !== undefined && value !== null) callback({ key: path, newValue: value });
        done();
      };
      const id = ask({ kind: 'bind', path }, first, done);
      if (id) bindings.push({ path, callback, id });
    },
    /** @param {string} path @param {Function} callback @param {Function} [done] */
    unbind(path, callback, done = noop) {
      const at = bindings.findIndex((one) => one.path === path && one.callback === callback);
      if (at >= 0) bindings.splice(at, 1);
      setTimeout(() => done(at >= 0 ? undefined : new Error('not bound')), 0);
    },
    /** @param {string} name @param {unknown} data @param {Function} [done] */
    command(name, data, done = noop) {
      ask({ kind: 'command', name, data }, () => done(), done);
    },
    /** @param {Record<string, unknown>} profile @param {Function} [done] */
    setConsumerProfile(profile, done = noop) {
      if (Object.values(profile).some((value) => value === null)) throw new Error('null field');
      setTimeout(done, 0);
    },
    onNotify: noop,
    /** @param {() => void} listener */
    onVisitorFocused: (listener) => focused.push(listener),
    /** @param {() => void} listener */
    onVisitorBlurred: (listener) => blurred.push(listener),
    dispose() {
      ready = false;
      bindings.length = 0;
    },
  };
  const define = () => {
    page.lpTag = { ...page.lpTag, agentSDK };
  };
  const late = /^late:(\d+)$/u.exec(choice);
  if (late) setTimeout(define, Number(late[1]));
  else define();
})();
