/** What values must be, as functions that say what is wrong with one. */

/**
 * Says why a value does not fit, or `null` where it does. `closed`: a field that is unknown is wrong.
 * @typedef {(value: unknown, place: string, closed: boolean) => string | null} Shape
 */

/** @typedef {Readonly<Record<string, Shape>>} Fields */

/** A string; its bounds count code points, as the broker does. @returns {Shape} */
export function text(low = 0, high = Infinity) {
  return (value, place) =>
    typeof value === 'string' ? within(low, high, [...value].length, place) : `${place}: is no string`;
}

/** @returns {Shape} */
export function whole(low = -Infinity, high = Infinity) {
  return (value, place) =>
    Number.isInteger(value) ? within(low, high, Number(value), place) : `${place}: is no whole number`;
}

/** @returns {Shape} */
export function number(low = -Infinity, high = Infinity) {
  return (value, place) =>
    typeof value === 'number' && Number.isFinite(value)
      ? within(low, high, value, place)
      : `${place}: is no number`;
}

/** @type {Shape} */
export function flag(value, place) {
  return typeof value === 'boolean' ? null : `${place}: is no boolean`;
}

/** One of these. @param {...string} known @returns {Shape} */
export function words(...known) {
  return (value, place) =>
    known.some((word) => word === value) ? null : `${place}: is none of its words`;
}

/** One of a set that may grow: a later broker may have more. @type {Shape} */
export function word(value, place) {
  return typeof value === 'string' ? null : `${place}: is none of its words`;
}

/** @param {Shape} shape @returns {Shape} */
export function orNull(shape) {
  return (value, place, closed) => (value === null ? null : shape(value, place, closed));
}

/** @param {Shape} item @returns {Shape} */
export function list(item, low = 0, high = Infinity) {
  return (value, place, closed) => {
    if (!Array.isArray(value)) return `${place}: is no list`;
    const problem = within(low, high, value.length, place);
    return problem ?? first(value.entries(), ([index, one]) => item(one, `${place}.${index}`, closed));
  };
}

/** @param {Fields} needed @param {Fields} [others] Those that may be left out. @returns {Shape} */
export function object(needed, others = {}) {
  const fields = new Map(Object.entries({ ...needed, ...others }));
  return (value, place, closed) => {
    if (!isObject(value)) return `${place}: is no object`;
    const missing = Object.keys(needed).find((field) => !Object.hasOwn(value, field));
    if (missing !== undefined) return `${place}.${missing}: is missing`;
    return first(Object.entries(value), ([field, one]) => {
      const at = `${place}.${field}`;
      const unknown = closed ? `${at}: is unknown` : null;
      return fields.has(field) ? (fields.get(field)?.(one, at, closed) ?? null) : unknown;
    });
  };
}

/** An object with a `type`, by which it was found. @param {Fields} needed @param {Fields} [others] */
export function message(needed, others) {
  return object({ type: text(), ...needed }, others);
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {number} low @param {number} high @param {number} size @param {string} place */
function within(low, high, size, place) {
  if (size < low) return `${place}: is too small`;
  return size > high ? `${place}: is too large` : null;
}

/**
 * The first problem there is.
 * @template T @param {Iterable<T>} items @param {(item: T) => string | null} problemOf
 */
function first(items, problemOf) {
  for (const item of items) {
    const problem = problemOf(item);
    if (problem !== null) return problem;
  }
  return null;
}
