/**
 * A window of its own: the way out where the page around a frame keeps the devices from it. It has
 * storage of its own, so it asks its opener for what proves that both are the same person.
 */

export const ASK = 'switchboard.hand-over.ask';
export const GIVE = 'switchboard.hand-over.give';

/**
 * Must be called from a click.
 * @param {string} path @param {Record<string, string>} query
 * @param {Record<string, string>} secrets Never part of an address.
 * @returns {boolean} Whether the browser opened it.
 */
export function openOwnWindow(path, query, secrets) {
  const address = `${path}?${new URLSearchParams({ ...query, handOver: '1' })}`;
  const opened = window.open(address, '_blank', 'popup,width=460,height=760');
  if (!opened) return false;
  /** @param {MessageEvent} event */
  const onMessage = (event) => {
    if (event.origin !== location.origin || event.source !== opened) return;
    if (event.data?.type !== ASK) return;
    opened.postMessage({ type: GIVE, secrets }, location.origin);
  };
  window.addEventListener('message', onMessage);
  return true;
}

/**
 * What the opening frame gave this window; empty when nobody did.
 * @param {URLSearchParams} query @returns {Promise<Record<string, string>>}
 */
export async function receiveHandOver(query) {
  const opener = /** @type {Window|null} */ (window.opener);
  if (!query.has('handOver') || !opener) return {};
  try {
    const { askOpener } = await import('./hand-over.js');
    return await askOpener(opener);
  } catch {
    // Without its module this window is one that nobody gave anything.
    return {};
  }
}
