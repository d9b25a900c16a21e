/**
 * A window of its own: the way out where the page around a frame keeps the devices from it. It has
 * storage of its own, so it asks its opener for what proves that both are the same person.
 */

const ASK = 'switchboard.hand-over.ask';
const GIVE = 'switchboard.hand-over.give';
const PATIENCE_MS = 3_000;

/**
 * To be called from a click. Where the browser opens none, the person is given the address.
 * @param {string} path @param {Record<string, string>} query
 * @param {Record<string, string>} secrets Never part of an address.
 */
export function openOwnWindow(path, query, secrets) {
  const address = `${path}?${new URLSearchParams(query)}`;
  const opened = window.open(`${address}&handOver=1`, '_blank', 'popup,width=460,height=760');
  if (!opened) return void import('../views/no-window.js').then(({ offer }) => offer(address), () => {});
  addEventListener('message', (event) => {
    if (event.origin !== location.origin || event.source !== opened) return;
    if (event.data?.type === ASK) opened.postMessage({ type: GIVE, secrets }, location.origin);
  });
}

/**
 * What the opening frame gave this window; empty when nobody did.
 * @param {URLSearchParams} query @returns {Promise<Record<string, string>>}
 */
export async function receiveHandOver(query) {
  const opener = /** @type {Window|null} */ (window.opener);
  if (!query.has('handOver') || !opener) return {};
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({}), PATIENCE_MS);
    /** @param {MessageEvent} event */
    const onMessage = (event) => {
      if (event.origin !== location.origin || event.source !== opener || event.data?.type !== GIVE) return;
      clearTimeout(timer);
      removeEventListener('message', onMessage);
      resolve(event.data.secrets);
    };
    addEventListener('message', onMessage);
    opener.postMessage({ type: ASK }, location.origin);
  });
}
