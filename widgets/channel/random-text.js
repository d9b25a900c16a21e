/** @param {number} bytes Hexadecimal, from the browser's generator. */
export function randomText(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, '0')).join('');
}
