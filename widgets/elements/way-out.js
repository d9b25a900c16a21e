import { idsToQuery } from '../hosts/engagement-ids.js';
import { openOwnWindow } from '../hosts/own-window.js';

/**
 * The way out of a frame that keeps the devices: a window of its own, or its address.
 * @param {string} path @param {{ids: EngagementIds|null}} host @param {() => HandedOver} tell
 * @returns {OpenWindow}
 */
export function wayOut(path, host, tell) {
  if (window.top === window.self) return null;
  return () => {
    if (!host.ids) return;
    const { query, secrets } = tell();
    const { lang } = document.documentElement;
    const address = `${path}?${new URLSearchParams({ lang, ...query, ...idsToQuery(host.ids) })}`;
    if (openOwnWindow(address, secrets)) return;
    void import('../views/no-window.js').then(({ offer }) => offer(address), () => {});
  };
}
