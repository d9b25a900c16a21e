import { Refusal } from '../../../widgets/hosts/gateway.js';
import { MediaLink } from '../../../widgets/media/media-link.js';
import { addSections } from '../../../widgets/media/sections.js';
import { postponed, same, settled, until } from './check.js';

const SESSION = { epoch: 1, media: { seats: 1, screens: 1, ice_servers: [], relay_only: false } };

/** A channel whose replies the test gives; nothing is negotiated further. */
function broker() {
  const asked = [];
  return {
    asked,
    /** How often it was to look whether it still stands. */
    hurried: 0,
    hurry() {
      this.hurried += 1;
    },
    /** Called with each request as it is made. */
    onAsked: () => undefined,
    request(message) {
      this.onAsked(message);
      return new Promise((resolve, reject) => asked.push({ message, resolve, reject }));
    },
    tell: () => undefined,
  };
}

/** How often somebody asks for a device from now on. */
function deviceRequests() {
  const { mediaDevices } = navigator;
  const original = mediaDevices.getUserMedia;
  const found = { count: 0, end: () => void (mediaDevices.getUserMedia = original) };
  mediaDevices.getUserMedia = (wanted) => {
    found.count += 1;
    return original.call(mediaDevices, wanted);
  };
  return found;
}

/** The other end of a connection, which answers what it is offered, with all its candidates. */
function relay() {
  const end = new RTCPeerConnection();
  return async ({ sdp }) => {
    await end.setRemoteDescription({ type: 'offer', sdp });
    await end.setLocalDescription();
    await until(() => end.iceGatheringState === 'complete');
    return { sdp: end.localDescription.sdp };
  };
}

/** A link whose connection stands. */
async function connected() {
  const channel = broker();
  const link = new MediaLink(channel, () => undefined);
  const answer = relay();
  link.negotiate(SESSION);
  await until(() => channel.asked.length === 1);
  channel.asked[0].resolve(await answer(channel.asked[0].message));
  await until(() => link.state === 'connected');
  return { channel, link, answer, peer: link.peer };
}

/** Have the link believe that its connection is in this state. */
function become(peer, state) {
  Object.defineProperty(peer.connection, 'connectionState', { value: state, configurable: true });
  peer.connection.onconnectionstatechange();
}

const of = (sdp, line) => sdp.match(new RegExp(`a=${line}:(.*)`))[1];
const online = () => globalThis.dispatchEvent(new Event('online'));
const lineLost = () => new Refusal('connection_lost', 'The connection was lost.', true);
const notInside = () => new Refusal('not_in_session', 'You are not in this session.', false);

export const tests = {
  'an offer refused before the answer is not repeated until somebody joins': async () => {
    const channel = broker();
    const link = new MediaLink(channel, () => undefined);
    link.prepare(SESSION);
    await until(() => channel.asked.length === 1);
    channel.asked[0].reject(notInside());
    await until(() => link.peer === null);
    link.prepare(SESSION);
    same([link.state, link.peer], ['idle', null]);
    link.negotiate(SESSION);
    await until(() => channel.asked.length === 2);
    same(link.state, 'connecting');
    link.close();
  },
  'who has joined before the refusal of an earlier offer arrives offers anew': async () => {
    const channel = broker();
    const link = new MediaLink(channel, () => undefined);
    link.prepare(SESSION);
    await until(() => channel.asked.length === 1);
    link.negotiate(SESSION);
    channel.asked[0].reject(notInside());
    await until(() => channel.asked.length === 2);
    same(link.state, 'connecting');
    link.close();
  },
  'an offer waits for no candidate: the relay finds the widget by its first check': async () => {
    const channel = broker();
    const link = new MediaLink(channel, () => undefined);
    link.negotiate(SESSION);
    await until(() => channel.asked.length === 1);
    same(channel.asked[0].message.sdp.includes('a=candidate:'), false);
    // There are some to wait for.
    await until(() => link.peer.connection.localDescription.sdp.includes('a=candidate:'));
    link.close();
  },
  'every layer says of itself by how much it is scaled down': () => {
    const { prototype } = RTCPeerConnection;
    const original = prototype.addTransceiver;
    const given = [];
    const connection = new RTCPeerConnection();
    prototype.addTransceiver = function add(kind, init) {
      given.push(...(init.sendEncodings ?? []));
      return original.call(this, kind, init);
    };
    try {
      // What is left out browsers choose by themselves, and not all the same.
      addSections(connection, SESSION.media);
    } finally {
      connection.close();
      prototype.addTransceiver = original;
    }
    same(
      given.map(({ rid = '', scaleResolutionDownBy }) => [rid, scaleResolutionDownBy]),
      [['l', 4], ['m', 2], ['h', 1], ['', 1]],
    );
  },
  'another actor gets a new connection with the same tracks, and the old one is closed before':
    async () => {
      const channel = broker();
      const link = new MediaLink(channel, () => undefined);
      const camera = document.createElement('canvas').captureStream().getVideoTracks()[0];
      const devices = deviceRequests();
      await link.setTracks({ microphone: null, camera, screen: null });
      link.negotiate(SESSION);
      await until(() => channel.asked.length === 1);
      const before = link.peer;
      let stateAtOffer = '';
      channel.onAsked = () => void (stateAtOffer = before.connection.signalingState);
      link.negotiate({ ...SESSION, epoch: 2 });
      await until(() => channel.asked.length === 2);
      same(stateAtOffer, 'closed');
      same(channel.asked.map(({ message }) => message.epoch), [1, 2]);
      const sent = () => link.peer.sections.send.camera.sender.track;
      await until(() => sent() === camera);
      same([camera.readyState, devices.count], ['live', 0]);
      // What is late of the actor before changes nothing.
      const peer = link.peer;
      channel.asked[0].reject(notInside());
      link.negotiate(SESSION);
      await settled();
      same([link.peer === peer, link.state, channel.asked.length], [true, 'reconnecting', 2]);
      devices.end();
      link.close();
      camera.stop();
    },
  'who has joined and is refused is told, and which browser can do nothing about it': async () => {
    for (const [code, state] of [['offer_invalid', 'failed'], ['no_common_codec', 'no_common_codec']]) {
      const channel = broker();
      const link = new MediaLink(channel, () => undefined);
      link.negotiate(SESSION);
      await until(() => channel.asked.length === 1);
      channel.asked[0].reject(new Refusal(code, 'No.', false));
      await until(() => link.state !== 'connecting');
      same(link.state, state);
      link.close();
    }
  },
  'where another network comes another path is looked for, with the same keys and tracks': async () => {
    const { channel, link, answer, peer } = await connected();
    online();
    await until(() => channel.asked.length === 2);
    const [first, second] = channel.asked.map(({ message }) => message);
    same(second.transport_id, first.transport_id);
    same(of(second.sdp, 'fingerprint'), of(first.sdp, 'fingerprint'));
    same(of(second.sdp, 'ice-ufrag') === of(first.sdp, 'ice-ufrag'), false);
    const reply = await answer(second);
    channel.asked[1].resolve(reply);
    await until(() => peer.connection.remoteDescription.sdp === reply.sdp);
    same([link.peer === peer, link.state], [true, 'connected']);
    const { removeEventListener: real } = globalThis;
    const deaf = [];
    globalThis.removeEventListener = (type, listener) => (deaf.push(type), real(type, listener));
    link.close();
    globalThis.removeEventListener = real;
    same(deaf, ['online']);
    online();
    await settled();
    same(channel.asked.length, 2);
  },
  'what answers an earlier offer changes nothing': async () => {
    const { channel, link, answer, peer } = await connected();
    online();
    await until(() => channel.asked.length === 2);
    online();
    await until(() => channel.asked.length === 3);
    const [, early, late] = channel.asked;
    const replies = [await answer(early.message), await answer(late.message)];
    early.resolve(replies[0]);
    await settled();
    same(peer.connection.signalingState, 'have-local-offer');
    late.resolve(replies[1]);
    await until(() => peer.connection.signalingState === 'stable');
    same(of(peer.connection.remoteDescription.sdp, 'ice-ufrag'), of(replies[1].sdp, 'ice-ufrag'));
    same([link.peer === peer, link.state], [true, 'connected']);
    link.close();
  },
  'a new connection is made where no other path helps, and not before': async () => {
    const { channel, link, answer, peer } = await connected();
    become(peer, 'disconnected');
    await until(() => channel.asked.length === 2);
    same(channel.asked[1].message.transport_id, peer.id);
    const patience = postponed(4_000);
    channel.asked[1].resolve(await answer(channel.asked[1].message));
    await until(() => patience.calls.length === 1);
    same(link.peer === peer, true);
    patience.due();
    same(link.peer === peer, false);
    await until(() => channel.asked.length === 3);
    link.close();
  },
  'where media are lost the line is looked at, too': async () => {
    for (const state of ['disconnected', 'failed']) {
      const { channel, link, peer } = await connected();
      same(channel.hurried, 0);
      become(peer, state);
      same(channel.hurried, 1);
      link.close();
    }
  },
  'where media are lost the line may be, too, until it is heard, also where they are built anew': async () => {
    const { channel, link, peer } = await connected();
    become(peer, 'failed');
    same(link.state, 'lost');
    await until(() => channel.asked.length === 2);
    same([link.peer === peer, link.state], [false, 'lost']);
    // As at each message.
    link.negotiate(SESSION);
    same(link.state, 'reconnecting');
    link.negotiate(SESSION);
    same(link.state, 'reconnecting');
    link.close();
  },
  'an offer of another path that was lost with the line is made again': async () => {
    const { channel, link, peer } = await connected();
    become(peer, 'disconnected');
    await until(() => channel.asked.length === 2);
    const rest = postponed(1_000);
    channel.asked[1].reject(lineLost());
    await until(() => rest.calls.length === 1);
    rest.due();
    await until(() => channel.asked.length === 3);
    same([link.peer === peer, channel.asked[2].message.transport_id], [true, peer.id]);
    link.close();
  },
  'what is refused another path is given up for a new connection': async () => {
    const { channel, link, peer } = await connected();
    online();
    await until(() => channel.asked.length === 2);
    const rest = postponed(1_000);
    channel.asked[1].reject(new Refusal('rate_limited', 'Too many.', true));
    await until(() => rest.calls.length === 1);
    rest.due();
    same(link.peer === peer, false);
    link.close();
  },
};
