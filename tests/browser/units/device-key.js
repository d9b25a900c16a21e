import { deviceToken, enrolDevice } from '../../../widgets/hosts/device-key.js';
import { postponed, same, until } from './check.js';

const ANSWERS = {
  '/v1/enrol': { device_id: 'd1' },
  '/v1/device-challenge': { challenge: 'c1' },
  '/v1/device-token': { token: 't1', expires_in_s: 3_600 },
};
const refuse = () => {
  throw new DOMException('Not here.', 'SecurityError');
};
/** What browsers do of whom pages of others are refused storage. */
const WAYS = {
  throws: refuse,
  fails: () => {
    const request = {};
    setTimeout(() => request.onerror());
    return request;
  },
  'says nothing': () => ({}),
};

export const tests = {
  async 'where the browser keeps no keys, and locks nothing, an enrolment serves until the page goes'() {
    const { fetch } = globalThis;
    const storage = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB');
    globalThis.fetch = async (path) => new Response(JSON.stringify(ANSWERS[path]));
    Object.defineProperty(navigator, 'locks', { configurable: true, get: refuse });
    try {
      for (const [way, open] of Object.entries(WAYS)) {
        Object.defineProperty(globalThis, 'indexedDB', { configurable: true, value: { open } });
        /** However long the browser would take. */
        const soon = async (promise) => {
          const patience = postponed(5_000);
          let over = false;
          void promise.finally(() => (over = true)).catch(() => {});
          await until(() => over || patience.calls.length > 0);
          patience.due();
          return promise;
        };
        same([way, await soon(deviceToken(way))], [way, null]);
        await soon(enrolDevice(way, 'code'));
        same((await soon(deviceToken(way))).token, 't1');
      }
    } finally {
      globalThis.fetch = fetch;
      Object.defineProperty(globalThis, 'indexedDB', storage);
      delete navigator.locks;
    }
  },
};
