import { ownWindowIsOpen, windowsOfOurs } from '../hosts/windows-of-ours.js';
import { chime } from '../media/chime.js';

const BLINK_MS = 1_000;
const CHIME_MS = 3_000;
/** How often one that may not sound yet looks again. */
const LOOK_MS = 500;
/** How much later those sound that the person has not before them. */
const BEHIND_MS = 200;

/**
 * Have an invitation noticed: by the title, by a notification where the page is hidden and may
 * notify, and by sound. All surfaces of a person ring; one of those that may sounds, and where
 * there is a window of its own that one notifies.
 * @param {EngagementWidget} widget @param {string} words @param {string} said The same for the page around.
 * @param {ConsumerHost} host
 * @param {AbortSignal} signal Ends it.
 */
export async function ring(widget, words, said, host, signal) {
  if (signal.aborted) return;
  let odd = false;
  const blink = () => widget.setTitle((odd = !odd) ? words : '');
  blink();
  const blinking = setInterval(blink, BLINK_MS);
  signal.addEventListener('abort', () => clearInterval(blinking));
  if (!ownWindowIsOpen()) {
    host.show('ring', said);
    if (!host.framed) notify(words, signal);
  }
  await pause(document.hasFocus() ? 0 : BEHIND_MS, signal);
  // Without a gesture of the person no browser lets a page sound.
  const may = () => navigator.userActivation?.hasBeenActive || host.active;
  while (!may() && !signal.aborted) await pause(LOOK_MS, signal);
  const mark = document.documentElement.dataset;
  const chimes = async () => {
    while (!signal.aborted) {
      if (!windowsOfOurs().some(sounds)) {
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
    // Where third parties are refused locks, windows that see each other know.
    await chimes();
  }
}

/** @param {string} words @param {AbortSignal} signal Takes it back. */
function notify(words, signal) {
  if (!document.hidden || globalThis.Notification?.permission !== 'granted') return;
  try {
    const shown = new Notification(words, { tag: 'switchboard' });
    shown.onclick = () => window.focus();
    signal.addEventListener('abort', () => shown.close());
  } catch {
    // Some browsers notify by service workers only.
  }
}

/** @param {any} one */
function sounds(one) {
  return 'sounds' in one.document.documentElement.dataset;
}

/** @param {number} ms @param {AbortSignal} signal Ends it early. @returns {Promise<unknown>} */
function pause(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal.addEventListener('abort', resolve, { once: true });
  });
}
