import { SignallingChannel } from '../../../widgets/channel/channel.js';
import { postponed, same, settled, until } from './check.js';
import { Wire } from './wire.js';

async function channel(more = {}) {
  Wire.made = [];
  const statuses = [];
  const messages = [];
  const greetings = [];
  const made = new SignallingChannel({
    url: 'ws://broker.test/v1/connect',
    greet: async (lastSeq) => {
      greetings.push(lastSeq);
      return { token: 't', last_seq: lastSeq };
    },
    onMessage: (message) => messages.push(message.type),
    onLink: ({ status }) => statuses.push(status),
    ...more,
  });
  made.connect();
  const wire = await until(() => Wire.made.find((one) => one.sent.length > 0));
  return { made, wire, statuses, messages, greetings };
}

const failure = async (promise) => promise.then(() => 'done', (error) => [error.code, error.retryable]);

export const tests = {
  async 'the hello comes first, with the subprotocol'() {
    const { made, wire, statuses } = await channel();
    same([wire.protocol, wire.sent[0].type, wire.sent[0].token], ['switchboard.v1', 'connection.hello', 't']);
    wire.welcome();
    same(statuses, ['connecting', 'open']);
    made.close();
    same(statuses.at(-1), 'closed');
  },
  async 'a reply finds its request, a refusal becomes an error'() {
    const { made, wire } = await channel();
    wire.welcome();
    const [one, other] = [made.request({ type: 'session.start' }), made.request({ type: 'session.end' })];
    const [, first, second] = wire.sent;
    same(first.id !== second.id, true);
    wire.hear({ type: 'request.refused', reply_to: second.id, code: 'session_full', message: '', retryable: true });
    wire.hear({ type: 'request.done', reply_to: first.id, seq: 4 });
    same((await one).type, 'request.done');
    same(await failure(other), ['session_full', true]);
    made.close();
  },
  async 'what a session that moves refuses is asked again, under another id'() {
    const { made, wire } = await channel();
    wire.welcome();
    const answer = made.request({ type: 'session.end' });
    const first = wire.sent[1];
    wire.hear({ type: 'request.refused', reply_to: first.id, code: 'session_away', message: '', retryable: true });
    const second = await until(() => wire.sent[2]);
    same([second.type, second.id !== first.id], ['session.end', true]);
    wire.hear({ type: 'request.done', reply_to: second.id, seq: 4 });
    same((await answer).type, 'request.done');
    made.close();
  },
  async 'what a session that moves refuses is not asked of the next'() {
    const { made, wire } = await channel();
    wire.welcome();
    wire.hear({ type: 'session.snapshot', seq: 1 });
    const rest = postponed(100);
    const end = failure(made.request({ type: 'session.end' }));
    wire.hear({ type: 'request.refused', reply_to: wire.sent[1].id, code: 'session_away', message: '', retryable: true });
    await until(() => rest.calls.length === 1);
    made.forgetSession();
    wire.hear({ type: 'session.snapshot', seq: 1 });
    rest.due();
    await settled();
    same(wire.sent.length, 2);
    same(await end, ['session_away', true]);
    made.close();
  },
  async 'in its session a request is said again, under its id, until it is answered'() {
    const { made, wire } = await channel();
    wire.welcome();
    wire.hear({ type: 'session.snapshot', seq: 1 });
    const asked = made.request({ type: 'media.mode', mode: 'voice' });
    const [, first] = wire.sent;
    wire.hear({ type: 'session.moved', epoch: 2 });
    wire.hear({ type: 'resume.renewed', resume: 'r' });
    same(wire.sent.slice(2), [first]);
    wire.hear({ type: 'session.snapshot', seq: 1 });
    wire.close(1006);
    const back = await until(() => Wire.made[1]?.sent.length && Wire.made[1]);
    void made.request({ type: 'session.leave' }).catch(() => {});
    back.welcome(true);
    same(back.sent.length, 1);
    back.hear({ type: 'resume.renewed', resume: 'r' });
    same(back.sent.slice(1).map(({ type }) => type), ['media.mode', 'session.leave']);
    same(back.sent[1], first);
    back.hear({ type: 'request.done', reply_to: first.id, seq: 2 });
    same((await asked).type, 'request.done');
    back.hear({ type: 'resume.renewed', resume: 'r' });
    same(back.sent.slice(3).map(({ type }) => type), ['session.leave']);
    made.close();
  },
  async 'what was asked in one session is said in no other'() {
    const { made, wire } = await channel();
    wire.welcome();
    wire.hear({ type: 'session.snapshot', seq: 1 });
    const end = failure(made.request({ type: 'session.end' }));
    made.forgetSession();
    same(await end, ['connection_lost', true]);
    wire.hear({ type: 'resume.renewed', resume: 'r' });
    wire.hear({ type: 'session.snapshot', seq: 1 });
    same(wire.sent.length, 2);
    wire.close(1006);
    const leave = failure(made.request({ type: 'session.leave' }));
    const back = await until(() => Wire.made[1]?.sent.length && Wire.made[1]);
    made.tell({ type: 'media.publish', camera: true });
    made.tell({ type: 'surface.update', visible: false });
    back.welcome();
    same(await leave, ['connection_lost', true]);
    same(back.sent.map(({ type }) => type), ['connection.hello', 'surface.update']);
    made.close();
  },
  async 'requests made too early wait, and of notifications only the latest'() {
    const { made, wire } = await channel();
    void made.request({ type: 'session.start' }).catch(() => {});
    made.tell({ type: 'surface.update', visible: false });
    made.tell({ type: 'surface.update', visible: true });
    same(wire.sent.length, 1);
    wire.welcome();
    same(wire.sent.slice(1).map(({ type, visible }) => [type, visible ?? null]), [
      ['session.start', null],
      ['surface.update', true],
    ]);
    made.close();
  },
  async 'a loss is retried at once and says what was seen last'() {
    const { made, wire, greetings, statuses } = await channel();
    wire.welcome();
    wire.hear({ type: 'roster.changed', seq: 7, roster: [] });
    const lost = failure(made.request({ type: 'session.end' }));
    wire.close(1012);
    const next = await until(() => Wire.made[1]?.sent.length && Wire.made[1]);
    same(greetings, [0, 7]);
    next.welcome();
    same(await lost, ['connection_lost', true]);
    same(statuses, ['connecting', 'open', 'reconnecting', 'open']);
    same(Wire.made.map((each) => each.sent[0].attempt), [1, 2]);
    made.close();
  },
  async 'the network coming back while a hello is prepared opens one connection'() {
    const waiting = [];
    const { made, wire } = await channel({
      greet: async () => {
        if (Wire.made.length > 0) await new Promise((resolve) => waiting.push(resolve));
        return { token: 't' };
      },
    });
    wire.welcome();
    wire.close(1006);
    await until(() => waiting.length === 1);
    globalThis.dispatchEvent(new Event('online'));
    await until(() => waiting.length === 2);
    waiting.forEach((resolve) => resolve());
    await until(() => Wire.made[1]?.sent.length);
    await new Promise((resolve) => setTimeout(resolve, 5));
    same(Wire.made.length, 2);
    made.close();
  },
  async 'being replaced is not retried'() {
    const { made, wire, statuses } = await channel();
    wire.welcome();
    wire.close(4409);
    await until(() => statuses.at(-1) === 'closed');
    same(Wire.made.length, 1);
    same(await failure(made.request({ type: 'session.end' })), ['connection_lost', false]);
  },
  async 'another epoch counts anew'() {
    const { made, wire, greetings } = await channel();
    wire.welcome();
    wire.hear({ type: 'roster.changed', seq: 90, roster: [] });
    wire.hear({ type: 'session.moved', epoch: 2 });
    wire.hear({ type: 'session.snapshot', seq: 3 });
    wire.close(1006);
    await until(() => greetings.length === 2);
    same(greetings[1], 3);
    made.close();
  },
  async 'a request without answer fails after its time, and only so many may wait'() {
    const { made, wire } = await channel();
    wire.welcome();
    const answers = postponed(12_000);
    const lost = failure(made.request({ type: 'session.end' }));
    answers.due();
    same(await lost, ['timeout', true]);
    const many = Array.from({ length: 70 }, () => failure(made.request({ type: 'session.end' })));
    same(await many[69], ['busy', true]);
    // What is refused is not done all the same.
    same(wire.sent.length, 1 + 1 + 64);
    made.close();
    same((await many[0])[0], 'connection_lost');
  },
  async 'a request that was given up before there was a connection is not sent by one'() {
    const { made, wire } = await channel();
    const answers = postponed(12_000);
    const lost = failure(made.request({ type: 'session.start' }));
    answers.due();
    same(await lost, ['timeout', true]);
    const answer = failure(made.request({ type: 'session.end' }));
    wire.welcome();
    same(wire.sent.slice(1).map(({ type }) => type), ['session.end']);
    made.close();
    await answer;
  },
  async 'where another network comes, a connection that does not answer is given up'() {
    const { made, wire, statuses } = await channel();
    wire.welcome();
    for (const [answers, status] of [[true, 'open'], [false, 'reconnecting']]) {
      await settled();
      const echo = postponed(3_000);
      globalThis.dispatchEvent(new Event('online'));
      same(wire.sent.at(-1).type, 'connection.ping');
      if (answers) wire.hear({ type: 'connection.pong' });
      await settled();
      echo.due();
      same(statuses.at(-1), status);
    }
    made.close();
  },
  async 'a page whose timers rest says that it lives as soon as it is missed'() {
    const { made, wire } = await channel();
    wire.welcome();
    wire.hear({ type: 'connection.unheard' });
    same(wire.sent.slice(1), [{ type: 'connection.ping' }]);
    made.close();
  },
  async 'a hello that nobody answers is given up, though the socket does not close'() {
    const patience = postponed(10_000);
    const { made, wire, statuses } = await channel();
    wire.close = () => {};
    patience.due();
    same(statuses, ['connecting', 'reconnecting']);
    made.close();
  },
  async 'what is too much to await is not sent'() {
    const { made, wire } = await channel();
    wire.welcome();
    const many = Array.from({ length: 70 }, () => failure(made.request({ type: 'text.send' })));
    same(await many[69], ['busy', true]);
    same(wire.sent.length, 1 + 64);
    made.close();
    await Promise.all(many);
  },
  async 'nothing is sent on a closed channel'() {
    const { made, wire } = await channel();
    wire.welcome();
    made.close();
    made.close();
    made.tell({ type: 'surface.update', visible: true });
    same(wire.sent.length, 1);
  },
};
