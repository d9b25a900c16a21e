/**
 * The other windows of this person's surfaces that can be seen from here: frames in this page or in
 * that of the opener, and windows that they opened.
 * @param {any[]} [pages] @returns {any[]}
 */
export function windowsOfOurs(pages = [window.top, window.opener?.top]) {
  return pages.flatMap((page) => {
    const frames = Array.from({ length: page?.length ?? 0 }, (_, at) => page[at]);
    return [...frames.flatMap(seen), ...(frames.length > 0 ? windowsOfOurs(frames) : [])];
  });
}

/** @param {any} frame */
function seen(frame) {
  try {
    return [frame, frame.ownWindow].filter(
      (one) => one && one !== window && !one.closed && one.document.documentElement,
    );
  } catch {
    // Somebody else's.
    return [];
  }
}

/** Whether one of them is a window of its own, which notifies instead of this one. */
export function ownWindowIsOpen() {
  return windowsOfOurs().some((one) => one.opener !== null);
}
