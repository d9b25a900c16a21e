/**
 * The brand's one script tag (docs/embedding.md). No LivePerson SDK opens a closed window: this opens
 * a frame of its own when an agent rings. It connects once there is a conversation.
 */
(() => {
  'use strict';

  /** @typedef {'closed'|'ring'|'session'|'over'} What */

  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const page = /** @type {any} */ (window);
  if (!script || page.Switchboard) return;
  const gateway = new URL(script.src).origin;
  const { lang, theme, position, zIndex, ...given } = script.dataset;
  const KEPT = 'switchboard.launcher';
  const WORDS = {
    en: ['Video', 'Minimise', 'Show'],
    de: ['Video', 'Verkleinern', 'Zeigen'],
    es: ['Vídeo', 'Minimizar', 'Mostrar'],
    fr: ['Vidéo', 'Réduire', 'Afficher'],
    he: ['וידאו', 'מזעור', 'הצגה'],
    ja: ['ビデオ', '最小化', '表示'],
    pt: ['Vídeo', 'Minimizar', 'Mostrar'],
  };
  // The tag's, else the page's, else the browser's.
  const wished = [lang ?? '', document.documentElement.lang, ...navigator.languages, 'en'];
  const language = /** @type {keyof typeof WORDS} */ (
    wished.map((tag) => tag.toLowerCase().split('-')[0] ?? '').find((tag) => tag in WORDS)
  );
  const [video = '', minimise, restore] = WORDS[language];

  /** @type {Record<string, string>} */
  const ids = {};
  /** @type {HTMLIFrameElement|null} */
  let frame = null;
  /** @type {HTMLElement|null} */
  let panel = null;
  /** @type {HTMLButtonElement|null} */
  let toggle = null;
  /** @type {What} */
  let what = 'closed';
  let minimised = false;
  let before = '';
  /** In the title by turns. */
  let call = '';
  let title = '';
  let blinking = 0;

  /** @param {unknown} value */
  const text = (value) => (/string|number/u.test(typeof value) ? String(value).trim() : '');

  /** @param {Record<string, unknown>} more */
  function update(more) {
    const { conversationId } = ids;
    for (const [name, value] of Object.entries(more)) if (text(value)) ids[name] = text(value);
    // It was of the conversation before.
    if (conversationId && conversationId !== ids.conversationId && !text(more.sessionId)) delete ids.sessionId;
    const conversation = ids.conversationId || ids.sessionId;
    if (!ids.accountId || !conversation || what === 'ring' || what === 'session') return;
    const now = JSON.stringify(ids);
    if (now === before) return;
    before = now;
    load();
  }

  function load() {
    if (!panel) build();
    const query = new URLSearchParams({ surface: 'launcher', host: location.origin, lang: language, ...ids });
    if (theme) query.set('theme', theme);
    // By `src` it would stand in the history.
    frame?.contentWindow?.location.replace(`${gateway}/engagement?${query}`);
  }

  function build() {
    panel = document.createElement('div');
    panel.setAttribute('role', 'region');
    panel.setAttribute('aria-label', video);
    frame = document.createElement('iframe');
    frame.title = video;
    frame.allow = ['camera', 'microphone', 'speaker-selection', 'display-capture', 'autoplay', 'fullscreen', 'picture-in-picture']
      .map((feature) => `${feature} ${gateway}`)
      .join('; ');
    toggle = document.createElement('button');
    toggle.type = 'button';
    toggle.addEventListener('click', () => setMinimised(!minimised));
    Object.assign(frame.style, { flex: '1', width: '100%', border: '0' });
    Object.assign(toggle.style, {
      all: 'unset',
      height: '32px',
      padding: '0 14px',
      background: '#151b21',
      color: '#eef3f7',
      font: '600 13px/32px system-ui, sans-serif',
      textAlign: 'end',
      cursor: 'pointer',
      // The panel clips what is around.
      outline: 'revert',
      outlineOffset: '-3px',
    });
    panel.append(toggle, frame);
    place();
    // It outlives a body.
    document.documentElement.append(panel);
    addEventListener('resize', place);
  }

  function place() {
    if (!panel || !frame || !toggle) return;
    const open = what !== 'closed';
    // A phone that lies: who calls stands beside the answers.
    const low = innerHeight <= 480;
    const phone = low || innerWidth <= 480;
    const small = minimised && open;
    const edge = phone ? '0' : '20px';
    Object.assign(panel.style, {
      position: 'fixed',
      zIndex: zIndex ?? '2147483000',
      bottom: edge,
      [position === 'left' ? 'left' : 'right']: edge,
      display: 'flex',
      flexDirection: 'column',
      overflow: 'hidden',
      width: phone ? 'min(100%, 700px)' : '380px',
      height: small ? '32px' : low || (phone && what === 'session') ? '100dvh' : 'min(620px, calc(100dvh - 40px))',
      borderRadius: phone ? '14px 14px 0 0' : '14px',
      boxShadow: '0 14px 44px rgb(10 20 30 / 32%)',
      background: '#151b21',
      // Closed it lives on, to be rung.
      visibility: open ? 'visible' : 'hidden',
    });
    toggle.textContent = small ? `${video}  ▴ ${restore}` : `▾ ${minimise}`;
    toggle.setAttribute('aria-expanded', String(!small));
    frame.style.visibility = small ? 'hidden' : '';
    tell();
  }

  /** @param {boolean} value */
  function setMinimised(value) {
    minimised = value;
    place();
  }

  function tell() {
    // A gesture here lets the frame sound. Closed counts as open.
    const active = navigator.userActivation?.hasBeenActive === true;
    frame?.contentWindow?.postMessage({ type: 'switchboard.opened', open: !minimised, active }, gateway);
  }

  /** @param {What} next @param {string} said May come later. */
  function show(next, said) {
    if (next !== what) become(next);
    if (said) ring(said);
  }

  /** @param {What} next */
  function become(next) {
    const opened = what === 'closed';
    what = next;
    if (next === 'ring' || next === 'closed') minimised = false;
    keep(next === 'session');
    place();
    if (opened && !matchMedia('(prefers-reduced-motion: reduce)').matches) {
      panel?.animate({ opacity: [0, 1], translate: ['0 24px', '0'] }, { duration: 180, easing: 'ease-out' });
    }
    document.dispatchEvent(new CustomEvent('switchboard', { detail: { what: next } }));
    stopRinging();
    // Said meanwhile.
    if (next === 'closed') update({});
  }

  /** Nobody sees a frame's title. @param {string} said */
  function ring(said) {
    call = said;
    blink();
    blinking = setInterval(blink, 1_000);
    if (!document.hidden || page.Notification?.permission !== 'granted') return;
    try {
      const notice = new Notification(said, { tag: 'switchboard' });
      notice.onclick = () => focus();
      document.addEventListener('switchboard', () => notice.close(), { once: true });
    } catch {
      // A service worker is wanted.
    }
  }

  function blink() {
    if (document.title === call) document.title = title;
    else [title, document.title] = [document.title, call];
    tell();
  }

  function stopRinging() {
    clearInterval(blinking);
    if (call && document.title === call) document.title = title;
    call = '';
  }

  /** For the next page in mid-session. @param {boolean} live */
  function keep(live) {
    try {
      if (live) sessionStorage[KEPT] = before;
      else delete sessionStorage[KEPT];
    } catch {
      // No storage.
    }
  }

  addEventListener('message', (event) => {
    if (event.origin !== gateway || !frame || event.source !== frame.contentWindow) return;
    if (event.data?.type === 'switchboard.ready') tell();
    if (event.data?.type === 'switchboard.show') show(event.data.what, String(event.data.said));
  });

  /** @param {any} data */
  function learn(data) {
    const { accountId, conversationId, sessionId, visitorId } = data ?? {};
    update({ accountId: given.accountId ?? page.lpTag.site ?? accountId, conversationId, sessionId, visitorId });
  }

  /** To LivePerson's tag, which may come later. @param {number} triesLeft */
  function listen(triesLeft) {
    const events = page.lpTag?.events;
    if (events?.bind) {
      const event = ['lpUnifiedWindow', 'conversationInfo'];
      // Who binds late is told of nothing before.
      for (const { data } of events.hasFired?.(...event) ?? []) learn(data);
      events.bind(...event, learn);
    } else if (triesLeft > 0) {
      setTimeout(() => listen(triesLeft - 1), 250);
    }
  }

  function begin() {
    try {
      update(JSON.parse(sessionStorage[KEPT] ?? '{}'));
    } catch {
      // No storage.
    }
    update(given);
    listen(240);
  }

  page.Switchboard = Object.freeze({
    update,
    open: () => setMinimised(false),
    minimise: () => setMinimised(true),
    get state() {
      return what;
    },
  });
  if (document.body) begin();
  else document.addEventListener('DOMContentLoaded', begin);
})();
