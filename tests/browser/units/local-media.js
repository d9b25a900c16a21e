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
  'a camera that is turned is asked for once, whatever the session says meanwhile': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
      const opened = media.open(true);
      await settled();
      questions[0].grant();
      await opened;
      const turned = media.turnCamera();
      void media.open(true);
      await settled();
      questions[1].grant();
      await turned;
      await settled();
      same(questions.length, 2);
      same(media.tracks.camera === questions[1].tracks[0], true);
      media.stop();
    }),
  'of two devices chosen quickly the later is opened, once the former is given back': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
      const opened = media.open(true);
      questions[0].grant();
      await opened;
      const chosen = ['desk', 'top', 'wall'].map((exact) => media.replace('camera', { deviceId: { exact } }));
      await settled();
      same(questions.length, 2);
      // The browser asks the person, or the device is slow.
      questions[1].grant();
      await until(() => questions[2]);
      same([states(questions[1].tracks), media.opening], [['ended'], true]);
      questions[2].grant();
      await Promise.all(chosen);
      const ids = questions.map(({ wanted }) => wanted.video.deviceId?.exact ?? null);
      same(ids, [null, 'desk', 'wall']);
      same(media.tracks.camera === questions[2].tracks[0], true);
      media.stop();
    }),
  'who turns devices off and on while the browser asks is not asked again': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
      const opened = media.open(true);
      for (const source of ['microphone', 'camera']) {
        for (const on of [false, true]) void media.turn(source, on);
      }
      await settled();
      questions[0].grant();
      await opened;
      await settled();
      same([questions.length, media.publishing], [1, { microphone: true, camera: true, screen: false }]);
      media.stop();
    }),
  'a camera that is chosen while it is off is opened when it is turned on': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
      const opened = media.open(true);
      questions[0].grant();
      await opened;
      void media.turn('camera', false);
      void media.replace('camera', { deviceId: { exact: 'top' } });
      await settled();
      same(questions.length, 1);
      const on = media.turn('camera', true);
      questions[1].grant();
      await on;
      same([questions[1].wanted.video.deviceId.exact, media.publishing.camera], ['top', true]);
      media.stop();
    }),
  'a screen chosen after the end is given back, and none is asked for twice': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
      const twice = [media.turn('screen', true), media.turn('screen', true)];
      questions.forEach(({ grant }) => grant());
      await Promise.all(twice);
      same(questions.map(({ tracks }) => states(tracks)), [['live']]);
      same(media.tracks.screen === questions[0].tracks[0], true);
      media.stop();
      const late = media.turn('screen', true);
      media.stop();
      questions[1].grant();
      await late;
      same([media.tracks.screen, states(questions[1].tracks)], [null, ['ended']]);
    }),
  'a screen that is refused before anybody could answer is said; a closed chooser is not': () =>
    asked(async (questions) => {
      const media = new LocalMedia(() => undefined);
      const { now } = performance;
      let past = 0;
      performance.now = () => now.call(performance) + past;
      try {
        for (const [waits, said] of [[10_000, null], [0, 'refused']]) {
          const share = media.turn('screen', true);
          past += waits;
          questions.at(-1).refuse();
          await share;
          same(media.troubles.screen, said);
        }
      } finally {
        performance.now = now;
        media.close();
      }
    }),
  'a phone shows the side that was turned to, and else the camera that was chosen': () =>
    asked(async (questions) => {
      localStorage.setItem('switchboard.device.camera', 'back-2');
      const media = new LocalMedia(() => undefined);
      /** What the browser is asked for, which answers with a camera that looks to this side. */
      const given = async (asking, facingMode) => {
        const { wanted, tracks, grant } = questions.at(-1);
        tracks.at(-1).getSettings = () => ({ facingMode });
        grant();
        await asking;
        const { deviceId, facingMode: side } = wanted.video;
        return [deviceId?.exact ?? null, side?.exact ?? null, media.facing];
      };
      const again = () => media.turn('camera', false).then(() => [media.turn('camera', true)]);
      const lost = () => {
        media.tracks.camera.dispatchEvent(new Event('ended'));
        return settled();
      };
      try {
        same(await given(media.open(true), 'environment'), ['back-2', null, 'environment']);
        same(await given(media.turnCamera(), 'user'), [null, 'user', 'user']);
        same(await given((await again())[0], 'user'), [null, 'user', 'user']);
        same(await given(media.turnCamera(), 'environment'), [null, 'environment', 'environment']);
        same(await given(lost(), 'environment'), [null, 'environment', 'environment']);
        // Storage may be refused: what was chosen serves as long as the page.
        same(await given(media.replace('camera', { deviceId: { exact: 'back-3' } }), 'environment'), ['back-3', null, 'environment']);
        same(await given((await again())[0], 'environment'), ['back-3', null, 'environment']);
        // It was unplugged meanwhile: any will do.
        const [late] = await again();
        const { length } = questions;
        questions.at(-1).refuse('OverconstrainedError');
        await until(() => questions.length > length);
        same(await given(late, 'user'), [null, null, 'user']);
      } finally {
        localStorage.clear();
        media.stop();
        media.close();
      }
    }),
  async 'where a remembered device is gone one question is asked, and the other stays as it was chosen'() {
    const { mediaDevices } = navigator;
    const ids = ({ audio, video }) => [audio, video].map(({ deviceId }) => deviceId?.exact ?? null);
    localStorage.setItem('switchboard.device.microphone', 'headset');
    localStorage.setItem('switchboard.device.camera', 'top');
    try {
      // Some browsers name what is here to those only who were allowed something before.
      for (const [here, camera] of [[['desk', 'top'], 'top'], [['', ''], null]]) {
        mediaDevices.enumerateDevices = async () => here.map((deviceId) => ({ deviceId }));
        await asked(async (questions) => {
          const media = new LocalMedia(() => undefined);
          const opened = media.open(true);
          // Which no person sees.
          questions[0].refuse('OverconstrainedError');
          await until(() => questions[1]);
          questions[1].grant();
          await opened;
          same(questions.map(({ wanted }) => ids(wanted)), [['headset', 'top'], [null, camera]]);
          media.stop();
          media.close();
        });
      }
    } finally {
      localStorage.clear();
      delete mediaDevices.enumerateDevices;
    }
  },
  async 'who refuses by hand is asked twice, and each device alone where the browser refuses by itself'() {
    const { now } = performance;
    for (const [takes, asks] of [[2_000, ['audio video', 'audio']], [20, ['audio video', 'audio', 'video']]]) {
      let late = 0;
      performance.now = () => now.call(performance) + late;
      try {
        await asked(async (questions) => {
          const media = new LocalMedia(() => undefined);
          let done = false;
          void media.open(true).then(() => (done = true));
          for (let at = 0; await until(() => done || questions[at]) !== true; at += 1) {
            late += takes;
            questions[at].refuse();
          }
          same(questions.map(({ wanted }) => Object.keys(wanted).join(' ')), asks);
          same(media.troubles, { microphone: 'refused', camera: 'refused', screen: null });
          media.close();
        });
      } finally {
        delete performance.now;
      }
    }
  },
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
