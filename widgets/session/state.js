/** @type {WidgetState} */
export const INITIAL = Object.freeze({
  role: null,
  reach: null,
  ways: [],
  session: null,
  resume: null,
  over: null,
  muted: null,
});
