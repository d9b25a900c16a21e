/**
 * Reading what came over the wire, and checking what is about to be sent.
 *
 * A widget is often older than its broker: it ignores messages and fields it does not know, and
 * insists on those it does. The broker is never older than its widgets: it refuses both.
 */

import { BROKER_SHAPES, CLIENT_SHAPES, LOGIN_SHAPES } from "./shapes.js";


/**
 * What a value must be: one of a set of words, a named part, one of several shapes, or a JSON type
 * with bounds (of a number, or of the length of a string or list).
 * @typedef {object} Shape
 * @property {ReadonlyArray<string>} [words]
 * @property {string} [part]
 * @property {ReadonlyArray<Shape>} [either]
 * @property {string} [type]
 * @property {number} [low]
 * @property {number} [high]
 * @property {Shape} [items]
 * @property {Readonly<Record<string, Shape>>} [fields]
 * @property {ReadonlyArray<string>} [required]
 */

/**
 * The shapes of one direction.
 * @typedef {object} Shapes
 * @property {Readonly<Record<string, string>>} messages Part of each message, by type
 * @property {Readonly<Record<string, Shape>>} parts
 */

/**
 * Read a message of the broker. Returns `null` for a type this widget does not know.
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
  return misfit(CLIENT_SHAPES, message, true);
}

/**
 * @param {Shapes} shapes
 * @param {string} text
 * @returns {unknown} `null` for an unknown type
 */
function read(shapes, text) {
  const message = parse(text);
  const type = typeOf(message);
  if (type === null) throw new TypeError("message: is no object with a type");
  if (!Object.hasOwn(shapes.messages, type)) return null;
  const problem = misfit(shapes, message, false);
  if (problem !== null) throw new TypeError(problem);
  return message;
}

/**
 * @param {string} text
 * @returns {unknown}
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new TypeError("message: is not JSON");
  }
}

/**
 * @param {unknown} message
 * @returns {string | null}
 */
function typeOf(message) {
  if (!isObject(message) || typeof message.type !== "string") return null;
  return message.type;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {Shapes} shapes
 * @param {unknown} message
 * @param {boolean} closed Whether unknown fields are refused
 * @returns {string | null}
 */
function misfit(shapes, message, closed) {
  const type = typeOf(message);
  if (type === null) return "message: is no object with a type";
  if (!Object.hasOwn(shapes.messages, type)) return "type: is unknown";
  return compare({ part: shapes.messages[type] }, message, "message");

  /**
   * @param {Shape} shape
   * @param {unknown} value
   * @param {string} place
   * @returns {string | null}
   */
  function compare(shape, value, place) {
    if (shape.part !== undefined) return compare(shapes.parts[shape.part] ?? {}, value, place);
    if (shape.either !== undefined) {
      const problems = shape.either.map((option) => compare(option, value, place));
      return problems.includes(null) ? null : (problems[0] ?? null);
    }
    if (shape.words !== undefined) {
      // A later broker may have more words.
      const known = closed ? shape.words.some((word) => word === value) : typeof value === "string";
      return known ? null : `${place}: is none of its words`;
    }
    if (shape.fields !== undefined) return compareFields(shape.fields, shape, value, place);
    if (shape.type === "array") {
      if (!Array.isArray(value)) return `${place}: is no list`;
      const items = shape.items ?? {};
      return (
        within(shape, value.length, place) ??
        value.reduce(
          (/** @type {string | null} */ problem, item, index) =>
            problem ?? compare(items, item, `${place}.${index}`),
          null,
        )
      );
    }
    return compareScalar(shape, value, place);
  }

  /**
   * @param {Readonly<Record<string, Shape>>} fields
   * @param {Shape} shape
   * @param {unknown} value
   * @param {string} place
   * @returns {string | null}
   */
  function compareFields(fields, shape, value, place) {
    if (!isObject(value)) return `${place}: is no object`;
    const missing = (shape.required ?? []).find((field) => !Object.hasOwn(value, field));
    if (missing !== undefined) return `${place}.${missing}: is missing`;
    for (const [field, inner] of Object.entries(value)) {
      const expected = Object.hasOwn(fields, field) ? fields[field] : undefined;
      if (expected === undefined) {
        if (closed) return `${place}.${field}: is unknown`;
        continue;
      }
      const problem = compare(expected, inner, `${place}.${field}`);
      if (problem !== null) return problem;
    }
    return null;
  }
}

/**
 * @param {Shape} shape
 * @param {unknown} value
 * @param {string} place
 * @returns {string | null}
 */
function compareScalar(shape, value, place) {
  switch (shape.type) {
    case "string":
      // Code points, as the broker counts them.
      return typeof value === "string"
        ? within(shape, [...value].length, place)
        : `${place}: is no string`;
    case "boolean":
      return typeof value === "boolean" ? null : `${place}: is no boolean`;
    case "null":
      return value === null ? null : `${place}: is not null`;
    case "integer":
      return Number.isInteger(value)
        ? within(shape, Number(value), place)
        : `${place}: is no whole number`;
    default:
      return typeof value === "number" && Number.isFinite(value)
        ? within(shape, value, place)
        : `${place}: is no number`;
  }
}

/**
 * @param {Shape} shape
 * @param {number} size
 * @param {string} place
 * @returns {string | null}
 */
function within(shape, size, place) {
  if (shape.low !== undefined && size < shape.low) return `${place}: is too small`;
  if (shape.high !== undefined && size > shape.high) return `${place}: is too large`;
  return null;
}
