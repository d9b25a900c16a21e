import { post } from './gateway.js';

const SKEW_MS = 1_000;
/** So long the browser may take to find a key, or to keep one. */
const KEEP_MS = 5_000;
const STORE = 'devices';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };

/** Where the browser keeps nothing, memory serves until the page goes. @type {Map<string, Device>} */
const held = new Map();

/**
 * Prove this device for an account; null when it is not enrolled (any more).
 * @param {string} account_id @returns {Promise<Grant|null>}
 */
export async function deviceToken(account_id) {
  const ours = held.get(account_id);
  if (ours) return provedInTime(ours);
  const kept = await keep('readonly', (store) => store.get(account_id)).catch(() => null);
  if (!kept) return null;
  // A challenge older than the last one used does not hold: frames that open together take turns.
  const prove = () => provedInTime(/** @type {Device} */ (kept));
  return navigator.locks.request(`switchboard.device.${account_id}`, prove);
}

/** @param {Device} device */
async function provedInTime(device) {
  const first = await proved(device);
  if (first) return first;
  // Nor does it hold where the clocks of two gateways differ a little.
  await new Promise((resolve) => setTimeout(resolve, SKEW_MS));
  return proved(device);
}

/** @param {Device} device @returns {Promise<Grant|null>} */
async function proved(device) {
  const { challenge } = await post('/v1/device-challenge', { device_id: device.device_id });
  const signed = await crypto.subtle.sign(
    SIGNING,
    device.keys.privateKey,
    new TextEncoder().encode(challenge),
  );
  try {
    return await post('/v1/device-token', { challenge, signature: base64(signed) });
  } catch (error) {
    if (/** @type {{code?: string}} */ (error)?.code !== 'unknown_entry') throw error;
    return null;
  }
}

/**
 * Make a key that cannot be taken out of this browser, and enrol it by an agent's code.
 * @param {string} account_id @param {string} code
 */
export async function enrolDevice(account_id, code) {
  const keys = /** @type {CryptoKeyPair} */ (
    await crypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify'])
  );
  const public_key = base64(await crypto.subtle.exportKey('spki', keys.publicKey));
  const { device_id } = await post('/v1/enrol', { code, public_key });
  const device = { device_id, keys };
  await keep('readwrite', (store) => store.put(device, account_id)).then(
    () => held.delete(account_id),
    () => held.set(account_id, device),
  );
}

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} act */
async function keep(mode, act) {
  const opening = indexedDB.open('switchboard', 1);
  opening.onupgradeneeded = () => void opening.result.createObjectStore(STORE);
  const database = /** @type {IDBDatabase} */ (await settled(opening));
  try {
    return await settled(act(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

/** @param {IDBRequest} request @returns {Promise<unknown>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    const fail = () => reject(new Error('The browser keeps nothing here.'));
    request.onerror = fail;
    setTimeout(fail, KEEP_MS);
  });
}

/** @param {ArrayBuffer} data */
const base64 = (data) => btoa(String.fromCharCode(...new Uint8Array(data)));
