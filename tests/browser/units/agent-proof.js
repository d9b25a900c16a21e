import { AgentWidget } from '../../../widgets/elements/agent-widget.js';
import { AgentProof } from '../../../widgets/elements/agent-proof.js';
import { same, until } from './check.js';
import { Wire } from './wire.js';

const CONFIG = { account_id: 'acc', agent_login: 'liveperson', consumer_proof: 'ids' };
const KEPT = 'switchboard.agent.acc.token';

/** Another frame of this tab has logged in. */
const keep = (token) => sessionStorage.setItem(KEPT, `9999999999999 ${token}`);

export const tests = {
  async 'a token that another frame keeps while the login is fetched is taken'() {
    sessionStorage.clear();
    Wire.made = [];
    const proof = new AgentProof(CONFIG, async () => '', {}, () => undefined);
    let token = '';
    void proof.token(true).then((got) => (token = got));
    keep('theirs');
    await until(() => token);
    same(token, 'theirs');
    // Nobody waits for a login any more.
    await until(() => Wire.made.every(({ closed }) => closed));
    proof.close();
  },
  async 'who has turned to another conversation is not asked for this one'() {
    sessionStorage.clear();
    Wire.made = [];
    const proof = new AgentProof(CONFIG, async () => '', {}, () => undefined);
    let outcome = '';
    void proof.token(true).catch(({ name }) => (outcome = name));
    proof.close();
    await until(() => outcome || Wire.made.length > 0);
    same([outcome, Wire.made.length], ['AbortError', 0]);
  },
  async 'a frame whose token was refused forgets that one, and no newer one of the tab'() {
    const { fetch: real } = globalThis;
    const address = location.href;
    globalThis.fetch = async () => Response.json(CONFIG);
    history.replaceState(null, '', '?accountId=acc&rtSessionId=eng-1&agentId=7');
    customElements.define('switchboard-agent', AgentWidget);
    const widget = document.createElement('switchboard-agent');
    try {
      Wire.made = [];
      keep('old');
      document.body.append(widget);
      const line = await until(() => Wire.made.find(({ sent }) => sent.length > 0));
      same(line.sent[0].token, 'old');
      line.close(4401);
      await until(() => widget.dataset.view === 'closed');
      same(sessionStorage.getItem(KEPT), null);
      keep('new');
      // As often as the workspace says anything.
      widget.client.dispatchEvent(new Event('change'));
      same(sessionStorage.getItem(KEPT), '9999999999999 new');
    } finally {
      widget.remove();
      history.replaceState(null, '', address);
      sessionStorage.clear();
      globalThis.fetch = real;
    }
  },
};
