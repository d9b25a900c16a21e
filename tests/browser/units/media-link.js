import { Refusal } from '../../../widgets/channel/refusal.js';
import { MediaLink } from '../../../widgets/media/media-link.js';
import { same, until } from './check.js';

const SESSION = { epoch: 1, media: { seats: 1, screens: 1, ice_servers: [], relay_only: false } };

/** A channel whose replies the test gives; nothing is negotiated further. */
function broker() {
  const asked = [];
  return {
    asked,
    request: () => new Promise((resolve, reject) => asked.push({ resolve, reject })),
    tell: () => undefined,
  };
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
