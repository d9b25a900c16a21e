/** A track of nothing, of which it is known whether it was given back. */
function track(kind) {
  return kind === 'audio'
    ? new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0]
    : document.createElement('canvas').captureStream().getVideoTracks()[0];
}

/** A person who takes their time: every device that is asked for comes when the test says so. */
export async function asked(play) {
  const { mediaDevices } = navigator;
  const questions = [];
  const ask = (wanted) =>
    new Promise((resolve, reject) => {
      const tracks = Object.keys(wanted).filter((kind) => wanted[kind]).map(track);
      const refuse = (name = 'NotAllowedError') => reject(new DOMException('', name));
      questions.push({ wanted, tracks, grant: () => resolve(new MediaStream(tracks)), refuse });
    });
  mediaDevices.getUserMedia = ask;
  mediaDevices.getDisplayMedia = ask;
  try {
    await play(questions);
  } finally {
    delete mediaDevices.getUserMedia;
    delete mediaDevices.getDisplayMedia;
  }
}
