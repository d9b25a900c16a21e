/**
 * A window of its own: the way out where the page around a frame keeps the devices from it. It has
 * storage of its own, so it asks its opener for what proves that both are the same person.
 */

const ASK = 'switchboard.hand-over.ask';
const GIVE = 'switchboard.hand-over.give';
const PATIENCE_MS = 3_000;

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
export function receiveHandOver(query) {
  const opener = /** @type {Window|null} */ (window.opener);
  if (!query.has('handOver') || !opener) return Promise.resolve({});
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({}), PATIENCE_MS);
    /** @param {MessageEvent} event */
    const onMessage = (event) => {
      if (event.origin !== location.origin || event.source !== opener) return;
      if (event.data?.type !== GIVE) return;
      clearTimeout(timer);
      window.removeEventListener('message', onMessage);
      resolve(event.data.secrets);
    };
    window.addEventListener('message', onMessage);
    opener.postMessage({ type: ASK }, location.origin);
  });
}
