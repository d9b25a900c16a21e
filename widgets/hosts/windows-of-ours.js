/**
 * The other windows of this person's surfaces that can be seen from here: frames in this page or in
 * that of the opener, and windows that they opened.
 * @param {any[]} [pages] @returns {any[]}
 */
export function windowsOfOurs(pages = [window.top, window.opener?.top]) {
  return pages.flatMap((page) => {
    const frames = Array.from({ length: page?.length ?? 0 }, (_, at) => page[at]);
    const seen = frames.filter(ours).flatMap((frame) => [frame, frame.ownWindow].filter(ours));
    const others = seen.filter((one) => one !== window);
    return [...others, ...(frames.length > 0 ? windowsOfOurs(frames) : [])];
  });
}

/** @param {any} one */
function ours(one) {
  try {
    return one && !one.closed && one.document.documentElement;
  } catch {
    // Somebody else's.
    return false;
  }
}

/** Whether one of them is a window of its own, which notifies instead of this one. */
export function ownWindowIsOpen() {
  return windowsOfOurs().some((one) => one.opener !== null);
}
