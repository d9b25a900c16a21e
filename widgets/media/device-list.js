import { KEPT_DEVICE } from './devices.js';

const KINDS = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' };

/** @param {DeviceChoice} source @returns {Promise<MediaDeviceInfo[]>} */
export async function listDevices(source) {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return all.filter((device) => device.kind === KINDS[source] && device.deviceId !== '');
}

/** @param {DeviceChoice} source @param {string} deviceId */
export function rememberDevice(source, deviceId) {
  try {
    localStorage.setItem(KEPT_DEVICE + source, deviceId);
  } catch {
    // Storage is refused in this frame: the choice lasts as long as the page.
  }
}
