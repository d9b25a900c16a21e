import { chime } from '../media/chime.js';

const BLINK_MS = 1_000;
const CHIME_MS = 3_000;
/** How often one that may not sound yet looks again. */
const LOOK_MS = 500;
/** How much later those sound that the person has not before them. */
const BEHIND_MS = 200;

/**
 * Have an invitation noticed: by the title, by a notification where the page is hidden and may
 * notify, and by sound. All surfaces of a person ring, and one of those that may sounds.
 * @param {EngagementWidget} widget @param {string} words @param {FrameHost} frame
 * @param {AbortSignal} signal Ends it.
 */
export async function ring(widget, words, frame, signal) {
  if (signal.aborted) return;
  let odd = false;
  const blink = () => widget.setTitle((odd = !odd) ? words : '');
  blink();
  const blinking = setInterval(blink, BLINK_MS);
  signal.addEventListener('abort', () => clearInterval(blinking));
  if (!frame.framed) notify(words);
  await pause(document.hasFocus() ? 0 : BEHIND_MS, signal);
  // Without a gesture of the person no browser lets a page sound.
  const may = () => navigator.userActivation?.hasBeenActive || frame.active;
  while (!may() && !signal.aborted) await pause(LOOK_MS, signal);
  const mark = document.documentElement.dataset;
  const chimes = async () => {
    while (!signal.aborted) {
      if (!anotherSounds()) {
        mark.sounds = '';
        chime().catch(() => {});
      }
      await pause(CHIME_MS, signal);
    }
    delete mark.sounds;
  };
  try {
    await navigator.locks.request('switchboard.ringing', { signal }, chimes);
  } catch {
    // Where third parties are refused locks, frames of one page know of each other.
    await chimes();
  }
}

/** @param {string} words */
function notify(words) {
  if (!document.hidden || globalThis.Notification?.permission !== 'granted') return;
  try {
    new Notification(words, { tag: 'switchboard' }).onclick = () => window.focus();
  } catch {
    // Some browsers notify by service workers only.
  }
}

/** Whether another frame of ours on this page sounds. @param {any} [page] @returns {boolean} */
function anotherSounds(page = window.top) {
  for (let at = 0; at < page.length; at += 1) {
    const frame = page[at];
    try {
      if (frame !== window && 'sounds' in frame.document.documentElement.dataset) return true;
    } catch {
      // Somebody else's.
    }
    if (anotherSounds(frame)) return true;
  }
  return false;
}

/** @param {number} ms @param {AbortSignal} signal Ends it early. @returns {Promise<unknown>} */
function pause(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal.addEventListener('abort', resolve, { once: true });
  });
}
