/**
 * Reads what came over the wire, and checks what is about to be sent, by the shapes that are
 * generated from the broker's own.
 *
 * A widget is often older than its broker: it ignores messages and fields it does not know, and
 * insists on those it does. The broker is never older than its widgets: it refuses both.
 */

import { BROKER_SHAPES } from './broker-shapes.js';
import { CLIENT_SHAPES } from './client-shapes.js';
import { LOGIN_SHAPES } from './login-shapes.js';
import { isObject } from './shape.js';

/** @typedef {import('./shape.js').Fields} Fields */

/**
 * Read a message of the broker. Returns `null` for a type that is not known.
 * @param {string} text
 * @returns {BrokerMessage | null}
 * @throws {TypeError} when it is not JSON or lacks what its type needs; names the place only
 */
export function readBrokerMessage(text) {
  return /** @type {BrokerMessage | null} */ (read(BROKER_SHAPES, text));
}

/**
 * Read a message of `/v1/login`, as `readBrokerMessage` does.
 * @param {string} text
 * @returns {LoginMessage | null}
 */
export function readLoginMessage(text) {
  return /** @type {LoginMessage | null} */ (read(LOGIN_SHAPES, text));
}

/**
 * Say why the broker would refuse a message, or `null` when it would read it.
 * @param {unknown} message
 * @returns {string | null}
 */
export function clientMisfit(message) {
  const type = typeOf(message);
  if (type === null) return 'message: is no object with a type';
  const shape = shapeOf(CLIENT_SHAPES, type);
  return shape ? shape(message, 'message', true) : 'type: is unknown';
}

/** @param {Fields} shapes @param {string} text @returns {unknown} `null` for an unknown type */
function read(shapes, text) {
  const message = parse(text);
  const type = typeOf(message);
  if (type === null) throw new TypeError('message: is no object with a type');
  const shape = shapeOf(shapes, type);
  if (!shape) return null;
  const problem = shape(message, 'message', false);
  if (problem !== null) throw new TypeError(problem);
  return message;
}

/** @param {Fields} shapes @param {string} type */
function shapeOf(shapes, type) {
  return Object.hasOwn(shapes, type) ? shapes[type] : undefined;
}

/** @param {string} text @returns {unknown} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new TypeError('message: is not JSON');
  }
}

/** @param {unknown} message @returns {string | null} */
function typeOf(message) {
  return isObject(message) && typeof message.type === 'string' ? message.type : null;
}
