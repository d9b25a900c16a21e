import { LocalMedia } from '../../../widgets/media/local-media.js';
import { same, settled } from './check.js';

/** A track of nothing, of which it is known whether it was given back. */
function track(kind) {
  return kind === 'audio'
    ? new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0]
    : document.createElement('canvas').captureStream().getVideoTracks()[0];
}

/** A person who takes their time: every device that is asked for comes when the test says so. */
async function asked(play) {
  const { mediaDevices } = navigator;
  const questions = [];
  const ask = (wanted) =>
    new Promise((resolve) => {
      const tracks = Object.keys(wanted).filter((kind) => wanted[kind]).map(track);
      questions.push({ wanted, tracks, grant: () => resolve(new MediaStream(tracks)) });
    });
  mediaDevices.getUserMedia = ask;
  mediaDevices.getDisplayMedia = ask;
  try {
    await play(new LocalMedia(() => undefined), questions);
  } finally {
    delete mediaDevices.getUserMedia;
    delete mediaDevices.getDisplayMedia;
  }
}

const states = (tracks) => tracks.map(({ readyState }) => readyState);

export const tests = {
  'what is granted after the end is given back, and nothing more is asked for': () =>
    asked(async (media, questions) => {
      // As often as the session says anything.
      const opened = [media.open(true), media.open(true), media.open(true)];
      await settled();
      media.stop();
      questions[0].grant();
      await Promise.all(opened);
      same([questions.length, media.tracks.camera, media.tracks.microphone], [1, null, null]);
      same(states(questions[0].tracks), ['ended', 'ended']);
    }),
  'the camera that a session wants later is asked for once': () =>
    asked(async (media, questions) => {
      const voice = media.open(false);
      await settled();
      questions[0].grant();
      await voice;
      const opened = [media.open(true), media.open(true)];
      await settled();
      questions[1].grant();
      await Promise.all(opened);
      same(questions.length, 2);
      same(media.tracks.camera, questions[1].tracks[0]);
      media.stop();
    }),
  'a screen chosen after the end is given back, and of two the former': () =>
    asked(async (media, questions) => {
      const twice = [media.setScreen(true), media.setScreen(true)];
      questions.forEach(({ grant }) => grant());
      await Promise.all(twice);
      same(questions.map(({ tracks }) => states(tracks)), [['ended'], ['live']]);
      same(media.tracks.screen === questions[1].tracks[0], true);
      media.stop();
      const late = media.setScreen(true);
      media.stop();
      questions[2].grant();
      await late;
      same([media.tracks.screen, states(questions[2].tracks)], [null, ['ended']]);
    }),
  'who needs no devices any more hears of none': async () => {
    let heard = 0;
    const media = new LocalMedia(() => (heard += 1));
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    same([heard, media.chances], [1, 1]);
    media.close();
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    same(heard, 1);
  },
};
