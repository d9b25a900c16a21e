import { Refusal } from './gateway.js';
import { SUBPROTOCOL } from '../protocol/messages.js';

/**
 * Wait on a WebSocket until the login page has said who this is.
 * @param {string} account_id
 * @param {(code: string, url: string) => void} onCode The page to open, and the code it will show.
 * @param {AbortSignal} signal Leaves the login.
 * @returns {Promise<Grant>} Rejects with a `Refusal`.
 */
export function loggedIn(account_id, onCode, signal) {
  const place = new URL(`/v1/login?account_id=${encodeURIComponent(account_id)}`, location.href);
  place.protocol = place.protocol.replace('http', 'ws');
  const socket = new WebSocket(place, SUBPROTOCOL);
  signal.addEventListener('abort', () => socket.close());
  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const message = /** @type {LoginMessage} */ (JSON.parse(data));
      if (message.type === 'login.code') onCode(message.code, message.url);
      else if (message.type === 'login.done') resolve(message);
      else reject(new Refusal(message.code, message.detail, message.retryable));
    };
    socket.onclose = () => reject(new Refusal('connection_lost', 'The login was left.', true));
  });
}
