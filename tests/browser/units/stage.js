import { loadStyles } from '../../../widgets/views/later.js';
import { Stage } from '../../../widgets/views/stage.js';
import { postponed, same, settled, until } from './check.js';

const PERSON = { participant_id: 'noa', role: 'guest', name: 'Noa', attendance: 'present', camera: true };
const SESSION = {
  participant_id: 'me',
  mode: 'video',
  roster: [PERSON],
  seats: { 'seat:0': { kind: 'seat', index: 0, participant_id: 'noa', video_timestamp: null } },
  speaker: null,
  quality: {},
};

/** A stage of 600 × 300 pixels with somebody in the first of two seats, and what it tells. */
async function shown(play) {
  const streams = () => ({ audio: new MediaStream(), video: new MediaStream() });
  const told = [];
  const client = {
    session: SESSION,
    visible: true,
    peer: { answered: true, seats: [streams(), streams()], screens: [] },
    media: { speaker: '', chances: 0, mirror: null, facing: 'user', publishing: {}, tracks: { camera: null } },
    tell: ({ type, slots }) => {
      same(type, 'media.view');
      told.push(slots.map(({ kind, index, width, height }) => `${kind} ${index}: ${width}x${height}`).join());
    },
  };
  const stage = new Stage(client);
  const place = document.createElement('div');
  Object.assign(place.style, { position: 'fixed', inset: '0 auto auto 0', width: '600px', height: '300px' });
  place.append(stage.root);
  document.body.append(place);
  try {
    stage.update(SESSION);
    await play({ client, stage, place, told, next: (count) => until(() => told[count - 1]) });
  } finally {
    stage.onClosed();
    place.remove();
  }
}

const size = (length) => Math.round(length * devicePixelRatio);
// The gaps around are of six pixels.
const LARGE = `seat 0: ${size(588)}x${size(288)},seat 1: ${size(1)}x${size(1)}`;
const NOTHING = 'seat 0: 0x0,seat 1: 0x0';

export const tests = {
  'the relay is told how large everybody is shown, once, and that nothing is seen of a hidden page': () =>
    shown(async ({ client, stage, place, told, next }) => {
      same(await next(1), LARGE);
      client.visible = false;
      stage.update(SESSION);
      same(await next(2), NOTHING);
      client.visible = true;
      stage.update(SESSION);
      same(await next(3), LARGE);
      place.style.width = '312px';
      same(await next(4), LARGE.replace(size(588), size(300)));
      stage.update(SESSION);
      await new Promise((resolve) => setTimeout(resolve, 250));
      same(told.length, 4);
    }),
  async 'sound that the browser refused begins as soon as it may, without the button'() {
    const { play } = HTMLMediaElement.prototype;
    let may = false;
    HTMLMediaElement.prototype.play = async function begin() {
      if (this.localName === 'audio' && !may) throw new DOMException('a gesture first', 'NotAllowedError');
    };
    try {
      await shown(async ({ stage }) => {
        const button = stage.root.querySelector('.sound');
        await until(() => !button.hidden);
        const seen = new MutationObserver(() => {});
        seen.observe(button, { attributes: true });
        stage.update(SESSION);
        await settled();
        // What is tried again meanwhile takes no button from under a finger.
        same([button.hidden, seen.takeRecords().length], [false, 0]);
        may = true;
        stage.update(SESSION);
        await settled();
        same(button.hidden, true);
      });
    } finally {
      HTMLMediaElement.prototype.play = play;
    }
  },
  'what went with a lost connection is told by the next': () =>
    shown(async ({ client, stage, next }) => {
      same(await next(1), LARGE);
      client.link = { status: 'open' };
      stage.update(SESSION);
      same(await next(2), LARGE);
    }),
  'what lies behind a sheet is not seen, and what is beside it is': () =>
    shown(async ({ stage, place, told, next }) => {
      await loadStyles('later');
      await next(1);
      const sheet = document.createElement('section');
      sheet.className = 'panel';
      place.append(sheet);
      Object.assign(sheet.style, { inset: '0', width: 'auto' });
      stage.update(SESSION);
      same(await next(2), LARGE.replace(`${size(588)}x${size(288)}`, '0x0'));
      // As it shrinks, grows and goes, though nothing else happens.
      sheet.style.inset = '40px 0 0';
      same(await next(3), LARGE);
      sheet.style.inset = '0';
      same(await next(4), told[1]);
      sheet.hidden = true;
      same(await next(5), LARGE);
      sheet.style.inset = '0 0 0 300px';
      sheet.hidden = false;
      stage.update(SESSION);
      await new Promise((resolve) => setTimeout(resolve, 250));
      same(told.length, 5);
    }),
  'nothing is seen of what the page around has put away': () =>
    shown(async ({ place, next }) => {
      await next(1);
      place.style.left = '-700px';
      same(await next(2), NOTHING);
      place.style.left = '0';
      same(await next(3), LARGE);
    }),
  'a face is awaited while it is seen, and by no stage that is gone': () =>
    shown(async ({ client, stage, place, next }) => {
      const waits = postponed(3_000);
      try {
        await next(1);
        same(waits.calls.length, 2);
        client.visible = false;
        stage.update(SESSION);
        await next(2);
        client.visible = true;
        stage.update(SESSION);
        await next(3);
        same(waits.calls.length, 4);
        stage.onClosed();
        place.remove();
        stage.update = () => {
          throw new Error('it came back to life');
        };
      } finally {
        waits.due();
      }
    }),
  'a stage that is gone tells nothing more': () =>
    shown(async ({ stage, place, told, next }) => {
      await next(1);
      stage.update(SESSION);
      stage.onClosed();
      place.style.width = '100px';
      await new Promise((resolve) => setTimeout(resolve, 250));
      same(told.length, 1);
    }),
};
