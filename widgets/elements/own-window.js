import { idsToQuery } from '../hosts/engagement-ids.js';

// It asks its opener for what proves both to be one person: its storage is its own.
const ASK = 'switchboard.hand-over.ask';
const GIVE = 'switchboard.hand-over.give';
/** The opener may ask, for less. */
const PATIENCE_MS = 5_000;

/**
 * The way out of a frame that keeps the devices: a window of its own, or its address.
 * @param {string} path @param {{ids: EngagementIds|null}} host @param {() => HandedOver} tell
 * @returns {OpenWindow} To be called from a click.
 */
export function wayOut(path, host, tell) {
  if (window.top === window.self) return null;
  return () => {
    if (!host.ids) return;
    const { query, secrets } = tell();
    const { lang } = document.documentElement;
    const address = `${path}?${new URLSearchParams({ lang, ...query, ...idsToQuery(host.ids) })}`;
    const opened = window.open(`${address}&handOver=1`, '_blank', 'popup,width=460,height=760');
    if (!opened) {
      void import('../views/no-window.js').then(({ offer }) => offer(address), () => {});
      return;
    }
    // `windowsOfOurs` finds it there.
    Object.assign(window, { ownWindow: opened });
    addEventListener('message', ({ origin, source, data }) => {
      if (origin !== location.origin || source !== opened || data?.type !== ASK) return;
      void secrets().then((given) => opened.postMessage({ type: GIVE, secrets: given }, location.origin));
    });
  };
}

/**
 * What the opener gave this window; empty when nobody did.
 * @param {URLSearchParams} query @returns {Promise<Record<string, string>>}
 */
export async function receiveHandOver(query) {
  const { opener } = window;
  if (!query.has('handOver') || !opener) return {};
  return new Promise((resolve) => {
    setTimeout(() => resolve({}), PATIENCE_MS);
    addEventListener('message', ({ origin, source, data }) => {
      if (origin === location.origin && source === opener && data?.type === GIVE) resolve(data.secrets);
    });
    opener.postMessage({ type: ASK }, location.origin);
  });
}
