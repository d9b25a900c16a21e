/** What is certain before anything is asked of the browser. @returns {CertainTrouble|null} */
export function troubleBeforehand() {
  if (typeof RTCPeerConnection !== 'function') return 'no_webrtc';
  if (!globalThis.isSecureContext) return 'insecure';
  if (!navigator.mediaDevices?.getUserMedia) return 'no_webrtc';
  return frameAllows('microphone') ? null : 'blocked_by_frame';
}

/** The same where a picture is wanted, too. */
export function videoTrouble() {
  return troubleBeforehand() ?? (frameAllows('camera') ? null : 'blocked_by_frame');
}

/** Whether a call is possible, if need be in a window of its own. @param {Trouble|null} trouble */
export function canTalk(trouble) {
  return !trouble || trouble === 'blocked_by_frame';
}

/**
 * Whether this browser could share a screen, as phones cannot, where what frames the page allows it.
 * @param {boolean} [allowed]
 */
export function canShare(allowed = frameAllows('display-capture')) {
  return allowed && 'getDisplayMedia' in (navigator.mediaDevices ?? {});
}

/**
 * Whether the page that frames this one lets it use a feature. Browsers that cannot say: true.
 * @param {Feature} feature
 */
export function frameAllows(feature) {
  return pagePolicy()?.allowsFeature?.(feature) ?? true;
}

/**
 * One word for why a device was not to be had; browsers name alike what has other ways out.
 * @param {any} error What getUserMedia or getDisplayMedia rejected with.
 * @param {Feature} feature @returns {Promise<Trouble>}
 */
export async function troubleOf(error, feature) {
  switch (error?.name) {
    case 'NotAllowedError':
    case 'SecurityError': {
      if (!frameAllows(feature)) return 'blocked_by_frame';
      if (pagePolicy()?.allowsFeature || feature === 'display-capture') return 'refused';
      // Others list none that a frame may not have.
      const all = await navigator.mediaDevices.enumerateDevices();
      const kept = feature === 'camera' ? 'video' : 'audio';
      return all.some(({ kind }) => kind.startsWith(kept)) ? 'refused' : 'blocked_by_frame';
    }
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'no_device';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    default:
      return 'failed';
  }
}

function pagePolicy() {
  return document.permissionsPolicy ?? document.featurePolicy;
}
