const KINDS = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' };

/** @param {DeviceSource|'speaker'} source @returns {Promise<MediaDeviceInfo[]>} */
export async function listDevices(source) {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return all.filter((device) => device.kind === KINDS[source] && device.deviceId !== '');
}
