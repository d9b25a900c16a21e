/**
 * A window of its own has storage of its own, so it asks its opener for what proves that both are
 * the same person.
 */

const ASK = 'switchboard.hand-over.ask';
const GIVE = 'switchboard.hand-over.give';
const PATIENCE_MS = 3_000;

/**
 * To be called from a click.
 * @param {string} address @param {Record<string, string>} secrets Never part of an address.
 * @returns {boolean} Whether the browser opened one.
 */
export function openOwnWindow(address, secrets) {
  const opened = window.open(`${address}&handOver=1`, '_blank', 'popup,width=460,height=760');
  if (!opened) return false;
  // `windowsOfOurs` finds it there.
  Object.assign(window, { ownWindow: opened });
  addEventListener('message', (event) => {
    if (event.origin !== location.origin || event.source !== opened) return;
    if (event.data?.type === ASK) opened.postMessage({ type: GIVE, secrets }, location.origin);
  });
  return true;
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
