import { clientMisfit, readBrokerMessage } from '../../contract/reader/read.js';
import { INITIAL, reduce } from '../../../widgets/session/reduce.js';
import { frozen, same } from './check.js';

const rows = async (name) => (await fetch(`/tests/contract/vectors/${name}.json`)).json();

function outcome(message) {
  try {
    return readBrokerMessage(JSON.stringify(message)) === null ? 'ignored' : 'read';
  } catch (error) {
    return error instanceof TypeError ? 'refused' : String(error);
  }
}

export const tests = {
  async 'what widgets may send is accepted, what they may not is not'() {
    for (const { name, message } of await rows('client-valid')) same([name, clientMisfit(message)], [name, null]);
    for (const { name, message } of await rows('client-invalid')) same([name, clientMisfit(message) !== null], [name, true]);
  },
  async 'what the broker says is read, refused or ignored as it should be'() {
    for (const { name, message } of await rows('broker-valid')) same([name, outcome(message)], [name, 'read']);
    for (const { name, message } of await rows('broker-invalid')) same([name, outcome(message)], [name, 'refused']);
    for (const { name, message, read } of await rows('broker-later')) same([name, outcome(message)], [name, read ? 'read' : 'ignored']);
  },
  async 'every fact, also of a later broker, goes through the state without harm'() {
    const facts = [...(await rows('broker-valid')), ...(await rows('broker-later'))];
    const snapshot = facts.find(({ message }) => message.type === 'session.snapshot').message;
    for (const { message } of facts) {
      const before = frozen(reduce(INITIAL, snapshot, 1_000));
      same('session' in reduce(before, frozen(message), 2_000), true);
      same('session' in reduce(INITIAL, message, 2_000), true);
    }
  },
};
