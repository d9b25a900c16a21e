import { Refusal } from '../../../widgets/channel/refusal.js';
import { MediaLink } from '../../../widgets/media/media-link.js';
import { same, settled, until } from './check.js';

const SESSION = { epoch: 1, media: { seats: 1, screens: 1, ice_servers: [], relay_only: false } };

/** A channel whose replies the test gives; nothing is negotiated further. */
function broker() {
  const asked = [];
  return {
    asked,
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
  'who has joined and is refused is told': async () => {
    const channel = broker();
    const link = new MediaLink(channel, () => undefined);
    link.negotiate(SESSION);
    await until(() => channel.asked.length === 1);
    channel.asked[0].reject(new Refusal('no_common_codec', 'None in common.', false));
    await until(() => link.state === 'failed');
    link.close();
  },
};
