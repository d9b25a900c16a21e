import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { Outgoing } from '../../../widgets/views/outgoing.js';
import { same } from './check.js';

/** What an agent reads who can write into the conversation, and is offered. @param {object} invitation */
async function offered(invitation) {
  await loadLanguage(['en']);
  const session = { roster: [{}], invitationUntil: Date.now() + 60_000 };
  session.invitation = { state: 'ringing', surfaces: ['launcher'], visible: true, reason: null, ...invitation };
  const outgoing = new Outgoing({ session }, () => {}, { canWrite: true, visitorName: 'Maya' });
  outgoing.update();
  outgoing.close();
  const buttons = [...outgoing.root.querySelectorAll('button:not([hidden])')];
  return [outgoing.root.querySelector('h2 + p').textContent, buttons.map(({ textContent }) => textContent)];
}

const OTHER_WAY = 'A join link works in another browser, or on a phone.';

export const tests = {
  async 'what stands in the way of whom it rings for is said with the way past it'() {
    same(await offered({}), ['', ['Cancel']]);
    same(await offered({ reason: 'camera_blocked' }), [OTHER_WAY, ['Cancel', 'Offer a join link']]);
    same(await offered({ state: 'failed', reason: 'no_webrtc' }), [OTHER_WAY, ['Invite again', 'Offer a join link']]);
  },

  async 'who said no is offered nothing else'() {
    same(await offered({ state: 'declined', reason: 'Later' }), ['“Later”', ['Invite again']]);
  },
};
