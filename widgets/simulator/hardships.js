/**
 * What a browser or a line may do to a framed widget, played inside its page: the simulated SDKs
 * load this, so it reaches the pages that load an SDK (agent, window), not the launcher's frame.
 *
 * @param {URLSearchParams} query `storage=blocked`: no storage and no cookie, as where third-party
 *   ones are refused. `net=slow:MS`: everything the widget sends, asks for or is told takes so much longer.
 */
export function befall(query) {
  if (query.get('storage') === 'blocked') blockStorage();
  const slow = /^slow:(\d+)$/u.exec(query.get('net') ?? '');
  if (slow) slowDown(Number(slow[1]));
}

function blockStorage() {
  const refuse = {
    configurable: true,
    get() {
      throw new DOMException('Storage is refused in this frame.', 'SecurityError');
    },
  };
  for (const name of ['localStorage', 'sessionStorage', 'indexedDB']) Object.defineProperty(window, name, refuse);
  Object.defineProperty(document, 'cookie', { configurable: true, get: () => '', set() {} });
  // Nor does such a frame share locks with others.
  navigator.locks.request = async () => {
    throw new DOMException('Locks are refused in this frame.', 'SecurityError');
  };
}

/** @param {number} ms */
function slowDown(ms) {
  const { fetch: ask } = window;
  const { send } = WebSocket.prototype;
  window.fetch = async (...args) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ask(...args);
  };
  const told = /** @type {PropertyDescriptor} */ (
    Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage')
  );
  Object.defineProperty(WebSocket.prototype, 'onmessage', {
    ...told,
    /** @this {WebSocket} @param {(event: MessageEvent) => void} listener */
    set(listener) {
      told.set?.call(this, (/** @type {MessageEvent} */ event) => {
        setTimeout(() => listener.call(this, event), ms);
      });
    },
  });
  // Equal waits keep the order.
  WebSocket.prototype.send = /** @this {WebSocket} @param {any} data */ function later(data) {
    setTimeout(() => this.readyState === WebSocket.OPEN && send.call(this, data), ms);
  };
}
