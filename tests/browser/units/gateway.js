import { get } from '../../../widgets/hosts/gateway.js';
import { same } from './check.js';

const failure = async (promise) => promise.then(() => 'done', ({ code, retryable }) => [code, retryable]);

/** What becomes of a request that is answered so. */
async function answered(answer) {
  const { fetch: real } = globalThis;
  globalThis.fetch = async (_path, options) => answer(options);
  try {
    return await failure(get('/v1/widget-config'));
  } finally {
    globalThis.fetch = real;
  }
}

const page = (status) => () => new Response('<!doctype html>Sign in to this network', { status });

export const tests = {
  async 'an answer that never comes is given up and may be asked for again'() {
    const { timeout } = AbortSignal;
    const patience = [];
    AbortSignal.timeout = (ms) => patience.push(ms) && timeout.call(AbortSignal, 10);
    try {
      const never = ({ signal }) =>
        new Promise((resolve, reject) => {
          if (signal) signal.addEventListener('abort', reject);
          else resolve(Response.json({}));
        });
      same([await answered(never), patience.length], [['connection_lost', true], 1]);
    } finally {
      AbortSignal.timeout = timeout;
    }
  },
  async 'the page of somebody in between is no answer, and a refusal stays one'() {
    same(await answered(page(200)), ['connection_lost', true]);
    same(await answered(page(403)), ['http_403', false]);
    same(await answered(page(502)), ['http_502', true]);
    same(await answered(() => new Response(null, { status: 204 })), 'done');
    const refused = { code: 'token_invalid', detail: 'No.', retryable: false };
    same(await answered(() => Response.json(refused, { status: 401 })), ['token_invalid', false]);
  },
};
