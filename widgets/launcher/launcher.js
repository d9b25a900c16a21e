/**
 * Switchboard launcher: one script tag on the brand's page.
 *
 *   <script async src="https://video.example.com/launcher.js"></script>
 *
 * Neither LivePerson SDK can open a closed engagement window. So this opens a frame of its own
 * when an agent rings. It learns of the conversation from `lpTag.events`, from attributes of its
 * tag, or from `Switchboard.update(ids)`, and connects only once there is one.
 */
(() => {
  'use strict';

  /** @typedef {'closed'|'ring'|'session'|'over'} What */

  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const page = /** @type {any} */ (window);
  if (!script || page.Switchboard) return;
  const gateway = new URL(script.src).origin;
  const options = script.dataset;
  const KEPT = 'switchboard.launcher';
  const WORDS = {
    en: { title: 'Video', minimise: 'Minimise', restore: 'Show' },
    de: { title: 'Video', minimise: 'Verkleinern', restore: 'Zeigen' },
    es: { title: 'Vídeo', minimise: 'Minimizar', restore: 'Mostrar' },
    fr: { title: 'Vidéo', minimise: 'Réduire', restore: 'Afficher' },
    he: { title: 'וידאו', minimise: 'מזעור', restore: 'הצגה' },
    ja: { title: 'ビデオ', minimise: '最小化', restore: '表示' },
    pt: { title: 'Vídeo', minimise: 'Minimizar', restore: 'Mostrar' },
  };
  const language = (options.lang ?? document.documentElement.lang ?? '').slice(0, 2) || 'en';
  const words = WORDS[/** @type {keyof typeof WORDS} */ (language)] ?? WORDS.en;

  /** @type {Record<string, string>} */
  let ids = {};
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

  /** @param {unknown} value */
  const text = (value) =>
    typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';

  /** @param {Record<string, unknown>} more */
  function update(more) {
    const next = { ...ids };
    for (const [name, value] of Object.entries(more)) if (text(value)) next[name] = text(value);
    ids = next;
    const conversation = ids.conversationId || ids.sessionId;
    if (!ids.accountId || !conversation) return;
    if (frame && (conversation === before || what === 'session')) return;
    before = conversation;
    load();
  }

  function load() {
    if (!panel) build();
    const query = new URLSearchParams({ surface: 'launcher', host: location.origin, ...ids });
    if (options.lang) query.set('lang', options.lang);
    if (options.theme) query.set('theme', options.theme);
    if (frame) frame.src = `${gateway}/engagement?${query}`;
  }

  function build() {
    panel = document.createElement('div');
    panel.setAttribute('role', 'region');
    panel.setAttribute('aria-label', words.title);
    frame = document.createElement('iframe');
    frame.title = words.title;
    frame.allow = ['camera', 'microphone', 'speaker-selection', 'display-capture', 'autoplay', 'fullscreen', 'picture-in-picture']
      .map((feature) => `${feature} ${gateway}`)
      .join('; ');
    toggle = document.createElement('button');
    toggle.type = 'button';
    toggle.addEventListener('click', () => setMinimised(!minimised));
    Object.assign(frame.style, { flex: '1', width: '100%', border: '0', display: 'block' });
    Object.assign(toggle.style, {
      all: 'unset',
      boxSizing: 'border-box',
      flex: 'none',
      height: '32px',
      padding: '0 14px',
      background: '#151b21',
      color: '#eef3f7',
      font: '600 13px/32px system-ui, sans-serif',
      textAlign: 'end',
      cursor: 'pointer',
    });
    toggle.addEventListener('focus', () => {
      if (toggle) toggle.style.outline = '3px solid #8ec5ff';
    });
    toggle.addEventListener('blur', () => {
      if (toggle) toggle.style.outline = '';
    });
    panel.append(toggle, frame);
    place();
    document.body.append(panel);
    window.addEventListener('resize', place);
  }

  function place() {
    if (!panel || !frame || !toggle) return;
    const open = what !== 'closed';
    const phone = window.innerWidth <= 480;
    const small = minimised && open;
    const side = options.position === 'left' ? 'left' : 'right';
    const edge = phone ? '0' : '20px';
    Object.assign(panel.style, {
      position: 'fixed',
      zIndex: options.zIndex ?? '2147483000',
      inset: 'auto',
      bottom: edge,
      [side]: edge,
      display: 'flex',
      flexDirection: 'column',
      overflow: 'hidden',
      width: phone ? '100%' : '380px',
      height: small ? '32px' : phone && what === 'session' ? '100dvh' : 'min(620px, calc(100dvh - 40px))',
      borderRadius: phone ? '14px 14px 0 0' : '14px',
      boxShadow: '0 14px 44px rgb(10 20 30 / 32%)',
      background: '#151b21',
      // The frame must live while closed, to be rung: hidden, not gone.
      visibility: open ? 'visible' : 'hidden',
      pointerEvents: open ? 'auto' : 'none',
    });
    toggle.textContent = small ? `${words.title}  ▴ ${words.restore}` : `▾ ${words.minimise}`;
    toggle.setAttribute('aria-expanded', String(!small));
    frame.style.visibility = open && !small ? 'visible' : 'hidden';
    panel.setAttribute('aria-hidden', String(!open));
    tell();
  }

  /** @param {boolean} value */
  function setMinimised(value) {
    minimised = value;
    place();
  }

  function tell() {
    // Closed counts as open: it opens by itself when it rings.
    frame?.contentWindow?.postMessage({ type: 'switchboard.opened', open: !minimised }, gateway);
  }

  /** @param {What} next */
  function show(next) {
    if (next === what) return;
    const opened = what === 'closed';
    what = next;
    if (next === 'ring' || next === 'closed') minimised = false;
    keep(next === 'session');
    place();
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (opened && panel && !calm) {
      panel.animate(
        [{ opacity: 0, transform: 'translateY(24px)' }, { opacity: 1, transform: 'none' }],
        { duration: 180, easing: 'ease-out' },
      );
    }
    document.dispatchEvent(new CustomEvent('switchboard', { detail: { what: next } }));
  }

  /** After a navigation in mid-session the next page comes back by itself. @param {boolean} live */
  function keep(live) {
    try {
      if (live) sessionStorage.setItem(KEPT, JSON.stringify(ids));
      else sessionStorage.removeItem(KEPT);
    } catch {
      // Without storage the session comes back when the conversation is known again.
    }
  }

  window.addEventListener('message', (event) => {
    if (event.origin !== gateway || !frame || event.source !== frame.contentWindow) return;
    if (event.data?.type === 'switchboard.ready') tell();
    if (event.data?.type === 'switchboard.show') show(event.data.what);
  });

  /** Listen to LivePerson's tag, which may come later than we do. @param {number} triesLeft */
  function listen(triesLeft) {
    const tag = page.lpTag;
    if (tag?.events?.bind) {
      const site = tag.site;
      tag.events.bind('lpUnifiedWindow', 'conversationInfo', (/** @type {any} */ data) => {
        update({
          accountId: options.accountId ?? site ?? data?.accountId,
          conversationId: data?.conversationId,
          sessionId: data?.sessionId,
          visitorId: data?.visitorId,
        });
      });
    } else if (triesLeft > 0) {
      setTimeout(() => listen(triesLeft - 1), 250);
    }
  }

  function begin() {
    try {
      const kept = sessionStorage.getItem(KEPT);
      if (kept) update(JSON.parse(kept));
    } catch {
      // Nothing kept.
    }
    update({
      accountId: options.accountId,
      conversationId: options.conversationId,
      sessionId: options.sessionId,
      visitorId: options.visitorId,
      visitorName: options.visitorName,
    });
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
