import { LocalMedia } from '../../../widgets/media/local-media.js';
import { same, settled, until } from './check.js';
import { asked } from './devices.js';

const states = (tracks) => tracks.map(({ readyState }) => readyState);

export const tests = {
  'what is granted after the end is given back, and nothing more is asked for': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
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
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
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
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
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
    await until(() => heard > 0);
    same([heard, media.chances], [1, 1]);
    media.close();
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    await navigator.mediaDevices.enumerateDevices();
    await settled();
    same(heard, 1);
  },
  async 'voices come out by the system while the speaker that was chosen is unplugged'() {
    const { mediaDevices } = navigator;
    let there = [];
    mediaDevices.enumerateDevices = async () => there.map((deviceId) => ({ kind: 'audiooutput', deviceId }));
    const media = new LocalMedia(() => undefined);
    try {
      media.setSpeaker('kitchen');
      // Before anything is allowed the browser names none.
      for (const [ids, speaker] of [[[''], 'kitchen'], [['hall'], ''], [['hall', 'kitchen'], 'kitchen']]) {
        there = ids;
        mediaDevices.dispatchEvent(new Event('devicechange'));
        await settled();
        same(media.speaker, speaker);
      }
    } finally {
      media.close();
      delete mediaDevices.enumerateDevices;
    }
  },
};
