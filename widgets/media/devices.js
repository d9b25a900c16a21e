import { Memory } from '../channel/memory.js';
import { troubleBeforehand, troubleOf } from './trouble.js';

/** The ids of those chosen last, by source. */
export const chosenDevices = new Memory('device', 'localStorage');
/** @type {Record<DeviceSource, MediaTrackConstraints>} */
const WISHES = {
  microphone: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  camera: {
    width: { ideal: 1280 },
    height: { ideal: 720 },
    frameRate: { ideal: 30, max: 30 },
    facingMode: 'user',
  },
};

/**
 * One question to the person when both are free; when that fails each is tried alone, so that a
 * missing camera never costs the voice.
 * @param {boolean} withCamera @returns {Promise<{microphone: Opened, camera: Opened}>}
 */
export async function openDevices(withCamera) {
  if (withCamera && !troubleBeforehand()) {
    try {
      const stream = await ask(['microphone', 'camera']);
      return { microphone: got(stream.getAudioTracks()), camera: got(stream.getVideoTracks()) };
    } catch {
      // One of them is not to be had; find out which.
    }
  }
  const begun = performance.now();
  const microphone = await openDevice('microphone');
  // By hand, and for both before: nobody is asked a third time.
  const no = microphone.trouble === 'refused' && performance.now() - begun > 500;
  return { microphone, camera: no ? microphone : withCamera ? await openDevice('camera') : got([]) };
}

/** @param {DeviceSource} source @param {MediaTrackConstraints} [extra] @returns {Promise<Opened>} */
export async function openDevice(source, extra) {
  const trouble = troubleBeforehand();
  return trouble ? { track: null, trouble } : opened(source, ask([source], extra));
}

/**
 * One question for all of these, as chosen last; as an ideal, Chromium ignores it. Where one is gone any
 * will do, and another stays if the browser tells that it is here.
 * @param {DeviceSource[]} sources @param {MediaTrackConstraints} [extra]
 * @param {string[]} [here] Ids. @returns {Promise<MediaStream>}
 */
async function ask(sources, extra, here) {
  const wishes = sources.map((source) => {
    const exact = chosenDevices.get(source);
    const chosen = exact && (here?.includes(exact) ?? true) && { deviceId: { exact } };
    return [source === 'camera' ? 'video' : 'audio', { ...WISHES[source], ...chosen, ...extra }];
  });
  const { mediaDevices } = navigator;
  return mediaDevices.getUserMedia(Object.fromEntries(wishes)).catch(async (error) => {
    if (here || error.name !== 'OverconstrainedError') throw error;
    const all = await mediaDevices.enumerateDevices();
    return ask(sources, {}, all.map(({ deviceId }) => deviceId));
  });
}

/** Sooner nobody closes a chooser. */
const SOON_MS = 80;

/** @returns {Promise<Opened>} `trouble` is null when the person merely closed the chooser. */
export async function openScreen() {
  if (!navigator.mediaDevices?.getDisplayMedia) return { track: null, trouble: 'no_webrtc' };
  const begun = performance.now();
  const asked = navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false });
  const { track, trouble } = await opened('display-capture', asked);
  if (track) track.contentHint = 'detail';
  // By the frame in browsers that say nothing of it, or by the system.
  const atOnce = performance.now() - begun < SOON_MS;
  return { track, trouble: trouble === 'refused' && !atOnce ? null : trouble };
}

/** @param {Feature} feature @param {Promise<MediaStream>} asked @returns {Promise<Opened>} */
async function opened(feature, asked) {
  try {
    return got((await asked).getTracks());
  } catch (error) {
    return { track: null, trouble: await troubleOf(error, feature) };
  }
}

/** @param {MediaStreamTrack[]} tracks One, or none. @returns {Opened} */
function got([track]) {
  return { track: track ?? null, trouble: null };
}
