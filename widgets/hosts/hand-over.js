import { ASK, GIVE } from './own-window.js';

const PATIENCE_MS = 3_000;

/**
 * Ask the window that opened this one for its secrets.
 * @param {Window} opener @returns {Promise<Record<string, string>>} Empty when it does not answer.
 */
export function askOpener(opener) {
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
