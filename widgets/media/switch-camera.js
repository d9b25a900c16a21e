/** Front and back camera of a phone. @param {LocalMedia} media */
export async function switchCamera(media) {
  media.facing = media.facing === 'user' ? 'environment' : 'user';
  await media.replace('camera', { facingMode: { ideal: media.facing }, deviceId: undefined });
}
