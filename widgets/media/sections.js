const IN_FRAGMENTS = /packetization-mode=1/i;
const CONSTRAINED_BASELINE = /profile-level-id=42e0/i;
const CAMERA_LAYERS = [
  { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
const SCREEN_LAYERS = [{ scaleResolutionDownBy: 1, maxBitrate: 2_500_000, maxFramerate: 15 }];

/**
 * Lay out a peer connection, before its only offer: what is sent first, then a section for each slot.
 * @param {RTCPeerConnection} connection @param {{seats: number, screens: number}} limits @returns {Sections}
 */
export function addSections(connection, limits) {
  const voice = new MediaStream();
  const show = new MediaStream();
  /** @param {'audio'|'video'} kind @param {RTCRtpTransceiverInit} init */
  const add = (kind, init) => {
    const transceiver = connection.addTransceiver(kind, init);
    preferCodecs(transceiver, kind, init.direction === 'recvonly');
    return transceiver;
  };
  const microphone = add('audio', { direction: 'sendonly', streams: [voice] });
  const camera = add('video', { direction: 'sendonly', streams: [voice], sendEncodings: CAMERA_LAYERS });
  const screen = add('video', { direction: 'sendonly', streams: [show], sendEncodings: SCREEN_LAYERS });
  const seats = Array.from({ length: limits.seats }, () => ({
    audio: add('audio', { direction: 'recvonly' }),
    video: add('video', { direction: 'recvonly' }),
  }));
  const screens = Array.from({ length: limits.screens }, () => add('video', { direction: 'recvonly' }));
  return { send: { microphone, camera, screen }, seats, screens };
}

/**
 * Offer only what the relay forwards, the best first, which keeps offers small. A microphone repeats
 * each frame in its next packet (RED, RFC 2198) where the browser can.
 * @param {RTCRtpTransceiver} transceiver @param {'audio'|'video'} kind @param {boolean} receives
 */
function preferCodecs(transceiver, kind, receives) {
  if (!transceiver.setCodecPreferences) return;
  const side = receives ? RTCRtpReceiver : RTCRtpSender;
  const all = side.getCapabilities(kind)?.codecs ?? [];
  const sound = receives ? ['opus', 'red'] : ['red', 'opus'];
  const wanted = (kind === 'audio' ? sound : ['vp8', 'h264', 'rtx']).flatMap((name) =>
    all.filter(
      ({ mimeType, sdpFmtpLine = '' }) =>
        mimeType.toLowerCase() === `${kind}/${name}` &&
        (name !== 'h264' || (IN_FRAGMENTS.test(sdpFmtpLine) && CONSTRAINED_BASELINE.test(sdpFmtpLine))),
    ),
  );
  try {
    transceiver.setCodecPreferences(wanted);
  } catch {
    // Some refuse a list without each of theirs, which will do.
  }
}
