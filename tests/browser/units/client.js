import { Memory } from '../../../widgets/channel/memory.js';
import { InvitedClient } from '../../../widgets/session/invited-client.js';
import { postponed, same, settled, until } from './check.js';
import { asked } from './devices.js';
import { Wire } from './wire.js';

export const SNAPSHOT = {
  type: 'session.snapshot',
  seq: 1,
  session_id: 's1',
  epoch: 1,
  participant_id: 'me',
  role: 'consumer',
  mode: 'video',
  attendance: 'present',
  capabilities: [],
  roster: [],
  invitation: null,
  guest_invitations: [],
  seats: [],
  media: { seats: 1, screens: 1, ice_servers: [], relay_only: false },
  started_ms_ago: 0,
};
const INVITED = {
  ...SNAPSHOT,
  attendance: 'invited',
  invitation: { invitation_id: 'i1', state: 'ringing', mode: 'video', surfaces: [], expires_in_ms: 60_000 },
};

let clients = 0;

/** A client that has said hello, its line and its memory, which knows of no other's. */
async function greeted(resume = null, { left = '1', memory = new Memory(`unit${(clients += 1)}`), ...more } = {}) {
  Wire.made = [];
  for (const [name, kept] of Object.entries({ resume, left })) memory.set(name, kept);
  const introduce = () => ({ engagement: { account_id: 'acc' } });
  const prove = async () => 't';
  const client = new InvitedClient({ surface: 'launcher', memory, introduce, prove, url: 'ws://broker.test', ...more });
  client.connect();
  const wire = await until(() => Wire.made.find((one) => one.sent.length > 0));
  return { client, memory, wire };
}

/** Whether the page is in front, as the browser says it. */
function becomeVisible(state) {
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

const told = (wire, type) => wire.sent.filter((message) => message.type === type);
const refusal = (id) => ({ type: 'request.refused', reply_to: id, code: 'invitation_closed', message: '', retryable: false });

export const tests = {
  async 'whoever is replaced comes back with off what they turned off'() {
    const { client, memory, wire } = await greeted();
    wire.welcome(true);
    wire.hear(SNAPSHOT);
    await client.media.turn('microphone', false);
    wire.close(4409);
    await until(() => client.link.status === 'closed');
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    client.close();
    same(memory.get('off'), 'microphone');
  },
  'devices of an answer that was refused are not those of the next one': () =>
    asked(async (questions) => {
      const { client, wire } = await greeted();
      wire.welcome(true);
      wire.hear(INVITED);
      const accepted = (at) => until(() => told(wire, 'invitation.accept')[at]);
      const refused = client.accept('video').catch((error) => error.code);
      wire.hear(refusal((await accepted(0)).id));
      same(await refused, 'invitation_closed');
      const taken = client.accept('video');
      wire.hear({ type: 'request.done', reply_to: (await accepted(1)).id });
      await taken;
      for (const { grant } of questions) grant();
      await until(() => client.media.tracks.camera);
      await settled();
      const states = questions.map(({ tracks }) => tracks.map(({ readyState }) => readyState));
      same(states, [['ended', 'ended'], ['live', 'live']]);
      same(questions[1].tracks.includes(client.media.tracks.camera), true);
      client.close();
    }),
  async 'what the browser is still asked for stays off when one is muted, may no more, or goes'() {
    const sources = ['microphone', 'camera', 'screen'];
    const present = { ...SNAPSHOT, capabilities: ['send_audio', 'send_video', 'send_screen'] };
    const ways = {
      muted: (wire) => wire.hear({ type: 'participant.muted', seq: 2, by_participant_id: 'agent', sources }),
      forbidden: (wire) => wire.hear({ type: 'rights.changed', seq: 2, capabilities: [] }),
      // An actor that took over tells rights by its snapshot only.
      'forbidden by then': (wire) => wire.hear({ ...present, epoch: 2, capabilities: [] }),
      going: (_, client) => void client.end().catch(() => {}),
    };
    for (const [way, happens] of Object.entries(ways)) {
      await asked(async (questions) => {
        const { client, wire } = await greeted();
        wire.welcome(true);
        wire.hear(present);
        void client.media.turn('screen', true);
        await until(() => questions.length === 2);
        happens(wire, client);
        for (const { grant } of questions) grant();
        await settled();
        const live = questions.flatMap(({ tracks }) => tracks).filter(({ readyState }) => readyState === 'live');
        // The microphone stays open, as it does for whoever mutes themselves.
        same([way, ...live.map(({ kind, enabled }) => [kind, enabled])], [way, ['audio', false]]);
        same(Object.values(client.media.publishing), [false, false, false]);
        client.close();
      });
    }
  },
  'voice only takes the picture away before anybody has heard of it': () =>
    asked(async (questions) => {
      const { client, wire } = await greeted();
      wire.welcome(true);
      wire.hear({ ...SNAPSHOT, capabilities: ['send_audio', 'send_video'] });
      await until(() => questions.length === 1);
      questions[0].grant();
      await until(() => client.media.publishing.camera);
      void client.setMode('voice').catch(() => {});
      await settled();
      same([client.media.publishing.camera, told(wire, 'media.mode').length], [false, 1]);
      client.close();
    }),
  'a screen wants more than voice: who shares one asks for that, and voice only ends it': () =>
    asked(async (questions) => {
      const { client, wire } = await greeted();
      wire.welcome(true);
      wire.hear({ ...SNAPSHOT, mode: 'voice', capabilities: ['send_audio', 'send_video', 'send_screen'] });
      await until(() => questions.length === 1);
      questions[0].grant();
      await until(() => told(wire, 'media.publish').some(({ microphone }) => microphone));
      same(told(wire, 'media.mode'), []);
      void client.media.turn('screen', true);
      await until(() => questions.length === 2);
      questions[1].grant();
      await until(() => told(wire, 'media.publish').some(({ screen }) => screen));
      same(told(wire, 'media.mode').map(({ mode }) => mode), ['video']);
      void client.setMode('voice').catch(() => {});
      await settled();
      same([client.media.publishing.screen, told(wire, 'media.publish').at(-1).screen], [false, false]);
      client.close();
    }),
  'with video means to see: one is seen after a press on the camera only, also who shares the screen': () =>
    asked(async (questions) => {
      const asks = (client) => void client.setMode('video').catch(() => {});
      const shares = (client) => void client.media.turn('screen', true);
      for (const [act, count] of [[asks, 1], [shares, 2]]) {
        questions.length = 0;
        const { client, wire } = await greeted();
        const talks = { ...SNAPSHOT, mode: 'voice', capabilities: ['send_audio', 'send_video', 'send_screen'] };
        wire.welcome(true);
        wire.hear(talks);
        await until(() => questions.length === 1);
        questions[0].grant();
        await until(() => client.media.tracks.microphone);
        act(client);
        await settled();
        for (const { grant } of questions) grant();
        const { id } = await until(() => told(wire, 'media.mode')[0]);
        wire.hear({ type: 'rights.changed', seq: 2, mode: 'video', capabilities: talks.capabilities });
        wire.hear({ type: 'request.done', reply_to: id });
        await settled();
        same([client.session.mode, questions.length, client.media.publishing.camera], ['video', count, false]);
        void client.media.turn('camera', true);
        await settled();
        questions.at(-1).grant();
        await until(() => client.media.publishing.camera);
        client.close();
      }
    }),
  'what is published is said again to whoever tells of the session anew': () =>
    asked(async (questions) => {
      const { client, wire } = await greeted();
      wire.welcome(true);
      const present = { ...SNAPSHOT, capabilities: ['send_audio', 'send_video'] };
      wire.hear(present);
      await until(() => questions.length === 1);
      questions[0].grant();
      await until(() => told(wire, 'media.publish').some(({ camera }) => camera));
      const { link } = client;
      const before = told(wire, 'media.publish').length;
      // The gateway's way to the actor broke, with what was on it: neither epoch nor line is new.
      wire.hear(present);
      await settled();
      const said = told(wire, 'media.publish').slice(before);
      same([said.length, said.at(-1)?.camera], [1, true]);
      // By that the stage tells its sizes anew, too.
      same([client.link === link, client.link.status], [false, 'open']);
      client.close();
    }),
  async 'what is open in another window comes here by a click, and the click that opened this one is one'() {
    for (const [resume, takes, attendance] of [[null, true, 'present'], ['r', true, 'elsewhere'], [null, false, 'elsewhere']]) {
      const { client, wire } = await greeted(resume, { takes });
      wire.welcome(true);
      wire.hear({ ...SNAPSHOT, attendance: 'elsewhere' });
      same(client.session.attendance, attendance);
      if (attendance === 'elsewhere') {
        await settled();
        same(told(wire, 'media.offer').length, 0);
        client.takeHere();
      }
      await until(() => told(wire, 'media.offer').length === 1);
      client.close();
    }
  },
  async 'what other windows did says nothing of the next session, nor of the next actor'() {
    const ended = { type: 'session.ended', seq: 9, session_id: 's1', reason: 'ended_by_agent' };
    const elsewhere = { type: 'invitation.elsewhere', seq: 2, invitation_id: 'i1' };
    const begun = async () => {
      const { client, wire } = await greeted();
      wire.welcome(true);
      wire.hear(SNAPSHOT);
      const transport = (id, state) =>
        wire.hear({ type: 'media.transport', seq: 2, epoch: 1, transport_id: id, state });
      return { client, wire, transport };
    };
    // Its own, before it looked for another path.
    const first = await begun();
    first.transport('former', 'closed');
    for (const message of [ended, INVITED, elsewhere]) first.wire.hear(message);
    same([first.client.session.attendance, first.client.deserted], ['elsewhere', false]);
    first.client.close();
    for (const next of [[ended, SNAPSHOT], [{ ...SNAPSHOT, epoch: 2 }]]) {
      const { client, wire, transport } = await begun();
      transport('of another window', 'connected');
      for (const message of next) wire.hear(message);
      transport(client.peer.id, 'closed');
      same(client.session.attendance, 'present');
      client.close();
    }
  },
  async 'a copy of a tab comes by its ordinary token: only a page that was left for good resumes, and a guest'() {
    for (const [surface, left, resumed] of [['launcher', null, undefined], ['launcher', '1', 'r'], ['guest_page', null, 'r']]) {
      const { client, wire } = await greeted('r', { surface, left });
      same([wire.sent[0].resume, wire.sent[0].token], [resumed, 't']);
      // As it stands it was not left; as it goes it is.
      const kept = () => sessionStorage.getItem(`switchboard.unit${clients}.left`);
      same(kept(), null);
      dispatchEvent(new Event('pagehide'));
      same(kept(), '1');
      // Some browsers keep it, and bring it back as it was.
      dispatchEvent(new Event('pageshow'));
      same(kept(), null);
      client.close();
    }
  },
  async 'who comes back without a proof says where they stand: they can be rung afterwards'() {
    const prove = () => Promise.reject(new Error('The brand\'s server is away.'));
    const { client, wire } = await greeted('r', { prove });
    const [{ resume, engagement, token }] = wire.sent;
    same([resume, engagement, token], ['r', { account_id: 'acc' }, undefined]);
    client.close();
  },
  async 'leave pressed without a line is said when there is one, however long that takes'() {
    const { client, wire } = await greeted();
    let answers = postponed(12_000);
    try {
      wire.welcome(true);
      wire.hear(SNAPSHOT);
      wire.close(1006);
      await until(() => client.link.status === 'reconnecting');
      const left = client.leave();
      same(client.going, true);
      // Two attempts fail, and each time so long passes as a request waits for its answer.
      for (const at of [1, 2]) {
        (await until(() => Wire.made[at]?.sent.length && Wire.made[at])).close(1006);
        await until(() => client.link.status === 'reconnecting' && !Wire.made[at + 1]);
        answers.due();
        answers = postponed(12_000);
        await settled();
        globalThis.dispatchEvent(new Event('online'));
      }
      const back = await until(() => Wire.made[3]?.sent.length && Wire.made[3]);
      back.welcome(true);
      same(told(back, 'session.leave'), []);
      back.hear({ type: 'resume.renewed', resume: 'r' });
      const [said, ...more] = told(back, 'session.leave');
      same(more, []);
      back.hear({ type: 'request.done', reply_to: said.id });
      await left;
      // Also of the end that follows: nobody is told what they did themselves.
      same(client.going, true);
      back.hear({ type: 'session.ended', seq: 2, session_id: 's1', reason: 'ended_by_agent' });
      same([client.going, client.state.over?.reason], [true, 'ended_by_agent']);
      back.hear({ ...SNAPSHOT, session_id: 's2' });
      same(client.going, false);
    } finally {
      answers.due();
      client.close();
    }
  },
  async 'who is not let go has not gone'() {
    const { client, wire } = await greeted();
    wire.welcome(true);
    wire.hear(SNAPSHOT);
    const ended = client.end().catch((error) => error.code);
    same(client.going, true);
    wire.hear(refusal(told(wire, 'session.end')[0].id));
    same([await ended, client.going], ['invitation_closed', false]);
    client.close();
  },
  async 'leave is said in no other session, and has nothing to do where its own is over'() {
    for (const [ends, code] of [['refused', 4410], ['not resumed', 0]]) {
      const { client, wire } = await greeted();
      wire.welcome(true);
      wire.hear({ type: 'resume.renewed', resume: 'r' });
      wire.hear(SNAPSHOT);
      wire.close(1006);
      await until(() => client.link.status === 'reconnecting');
      let left = 'not yet';
      void client.leave().then(() => (left = ends), (error) => (left = error.code));
      let back = await until(() => Wire.made[1]?.sent.length && Wire.made[1]);
      if (code) {
        back.close(code);
        back = await until(() => Wire.made[2]?.sent.length && Wire.made[2]);
      }
      back.welcome(false);
      await settled();
      same([left, client.state.over?.reason], [ends, 'lost']);
      same(told(back, 'session.leave'), []);
      client.close();
    }
  },
  async 'the broker learns what is hidden while it is greeted, and nothing twice'() {
    const { client, wire } = await greeted();
    try {
      same(told(wire, 'connection.hello')[0].visible, true);
      becomeVisible('hidden');
      wire.welcome();
      const said = () => told(wire, 'surface.update').map(({ visible }) => visible);
      same([said(), client.visible], [[false], false]);
      client.setShown(false);
      becomeVisible('visible');
      same([said(), client.visible], [[false], false]);
      client.setShown(true);
      same([said(), client.visible], [[false, true], true]);
      // Who comes back looks at once whether the line still stands.
      same(told(wire, 'connection.ping').length, 1);
      client.close();
      await settled();
      let changes = 0;
      client.addEventListener('change', () => (changes += 1));
      becomeVisible('hidden');
      await settled();
      same(changes, 0);
    } finally {
      delete document.visibilityState;
      client.close();
    }
  },
  async 'who speaks and sits where, and what is needed, is negotiated with nobody'() {
    const { client, wire } = await greeted();
    wire.welcome(true);
    wire.hear(SNAPSHOT);
    await until(() => told(wire, 'media.offer').length === 1);
    const { peer } = client;
    const layers = [];
    peer.setLayers = (...needed) => layers.push(needed);
    const seat = { kind: 'seat', index: 0, participant_id: 'ada', turn: 1 };
    wire.hear({ type: 'media.seats', seq: 2, epoch: 1, seats: [seat] });
    wire.hear({ type: 'media.speaker', seq: 3, participant_id: 'ada' });
    wire.hear({ type: 'media.layers', seq: 4, source: 'camera', rids: ['l', 'm'] });
    wire.hear({ type: 'media.quality', seq: 5, participant_id: 'ada', grade: 'poor', reason: 'bandwidth' });
    await settled();
    same([client.peer === peer, told(wire, 'media.offer').length], [true, 1]);
    same(layers, [['camera', ['l', 'm']]]);
    client.close();
  },

  async 'whoever shared before a reload, or in another window, reads that it is over'() {
    const shares = { ...SNAPSHOT, roster: [{ participant_id: 'me', role: 'consumer', name: '', attendance: 'present', screen: true }] };
    for (const attendance of ['present', 'elsewhere']) {
      const { client, wire } = await greeted('r');
      wire.welcome(true);
      wire.hear({ ...shares, attendance });
      if (attendance === 'elsewhere') {
        same(client.session.screenAsked, null);
        client.takeHere();
      }
      same(client.session.screenAsked, { by: 'me' });
      // A share of this page is not over because its line was.
      wire.hear({ type: 'roster.changed', seq: 2, roster: [] });
      const { screenAsked } = client.session;
      wire.hear(shares);
      same(client.session.screenAsked === screenAsked, true);
      client.close();
    }
  },
};
