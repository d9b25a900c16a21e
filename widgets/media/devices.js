import { troubleBeforehand, troubleOf } from './trouble.js';

/** What a choice is kept under, before its source. */
export const KEPT_DEVICE = 'switchboard.device.';
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
  /** @type {Opened} */
  const none = { track: null, trouble: null };
  if (withCamera && !troubleBeforehand()) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: wish('microphone'),
        video: wish('camera'),
      });
      return {
        microphone: { track: stream.getAudioTracks()[0] ?? null, trouble: null },
        camera: { track: stream.getVideoTracks()[0] ?? null, trouble: null },
      };
    } catch {
      // One of them is not to be had; find out which.
    }
  }
  const microphone = await openDevice('microphone');
  return { microphone, camera: withCamera ? await openDevice('camera') : none };
}

/** @param {DeviceSource} source @param {MediaTrackConstraints} [extra] @returns {Promise<Opened>} */
export async function openDevice(source, extra = {}) {
  const beforehand = troubleBeforehand();
  if (beforehand) return { track: null, trouble: beforehand };
  const asked = performance.now();
  const kind = source === 'camera' ? 'video' : 'audio';
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: { ...wish(source), ...extra } });
    return { track: stream.getTracks()[0] ?? null, trouble: null };
  } catch (error) {
    return { track: null, trouble: troubleOf(error, source, performance.now() - asked) };
  }
}

/** @returns {Promise<Opened>} `trouble` is null when the person merely closed the chooser. */
export async function openScreen() {
  if (!navigator.mediaDevices?.getDisplayMedia) return { track: null, trouble: 'no_webrtc' };
  const asked = performance.now();
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { max: 15 } },
      audio: false,
    });
    const track = stream.getVideoTracks()[0] ?? null;
    if (track) track.contentHint = 'detail';
    return { track, trouble: null };
  } catch (error) {
    const trouble = troubleOf(error, 'display-capture', performance.now() - asked);
    return { track: null, trouble: trouble === 'refused' ? null : trouble };
  }
}

/** @param {DeviceChoice} source @returns {string} The id chosen last, or empty. */
export function rememberedDevice(source) {
  try {
    return localStorage.getItem(KEPT_DEVICE + source) ?? '';
  } catch {
    return '';
  }
}

/** @param {DeviceSource} source @returns {MediaTrackConstraints} The device chosen last, if it is there. */
function wish(source) {
  const id = rememberedDevice(source);
  return { ...WISHES[source], ...(id && { deviceId: { ideal: id } }) };
}
