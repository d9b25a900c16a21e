/**
 * What the console shows: one entry for each list of the operators' API.
 *
 * @typedef {Record<string, any>} Row
 * @typedef {object} Deed
 * @property {string} name
 * @property {string} certain The question before it is done.
 * @property {string} about Whom or what it is done to.
 * @property {(answer: any) => string} done What has come of it.
 * @property {string} path
 * @property {Record<string, unknown>} body
 * @typedef {{name: string, opens: string}} Look Shows one row more closely.
 * @typedef {object} Section
 * @property {string} title
 * @property {string} path
 * @property {(answer: any) => Row[]} rows
 * @property {(answer: any) => string} summary
 * @property {(row: Row) => string} keyOf
 * @property {[string, (row: Row) => string][]} columns
 * @property {(row: Row) => (Deed|Look)[]} [deeds] What may be done about a row.
 * @property {string} empty
 */

const DRAIN = { no: 'in use', moving: 'draining', drained: 'drained', late: 'past its deadline' };
const DRAIN_S = 300;
/** @type {Record<string, string>} */
const PLURALS = { person: 'people' };

/** @type {Section[]} */
export const SECTIONS = [
  {
    title: 'Nodes',
    path: 'nodes',
    rows: (answer) => answer.nodes,
    summary: ({ live, standbys }) => `${count(live, 'live session')}, ${count(standbys, 'standby')}`,
    keyOf: (row) => row.node,
    columns: [
      ['Node', (row) => (row.label ? `${row.node} (${row.label})` : row.node)],
      ['State', stateOf],
      ['Live sessions', (row) => String(row.live)],
      ['Standbys', (row) => String(row.standbys)],
      ['Session actors', (row) => String(row.members)],
      ['Moved away', (row) => String(row.moved)],
    ],
    deeds: (row) => [row.drain === 'no' ? drain(row) : undrain(row)],
    empty: 'No node holds a session or a standby this moment.',
  },
  {
    title: 'Live sessions',
    path: 'sessions?limit=50',
    rows: (answer) => answer.sessions,
    summary: ({ sessions, cursor }) => (cursor ? `the newest ${sessions.length}` : String(sessions.length)),
    keyOf: (row) => row.session_id,
    columns: [
      ['Session', (row) => row.session_id],
      ['Account', (row) => row.account_id],
      ['Began', (row) => at(row.created_ms)],
      ['Began with', (row) => String(row.mode ?? '')],
      ['Takeovers', (row) => String(row.epoch - 1)],
    ],
    // The question of one that is left must not move another from under the click.
    deeds: (row) => [end(row), { name: 'Look', opens: row.session_id }],
    empty: 'Nobody is talking.',
  },
  {
    title: 'Recent ends',
    path: 'ends?limit=50',
    rows: (answer) => answer.ends,
    summary: ({ ends }) => (ends.length > 0 ? `the last ${ends.length}` : ''),
    keyOf: (row) => row.session_id,
    columns: [
      ['Session', (row) => row.session_id],
      ['Account', (row) => row.account_id],
      ['Ended', (row) => at(row.ended_ms)],
      ['Lasted', (row) => (row.ended_ms ? lasted(row.ended_ms - row.created_ms) : '')],
      ['Reason', (row) => words(row.end_reason)],
      ['Takeovers', (row) => String(row.epoch - 1)],
    ],
    empty: 'No session has ended yet.',
  },
  {
    title: 'Dead letters',
    path: 'dead-letters?limit=100',
    rows: (answer) => answer.dead_letters,
    summary: (answer) => count(answer.dead_letters.length, 'event'),
    keyOf: (row) => `${row.endpoint_id} ${row.session_id} ${row.seq}`,
    columns: [
      ['Account', (row) => row.account_id],
      ['Endpoint', (row) => row.endpoint_id],
      ['Event', (row) => row.type],
      ['Session', (row) => row.session_id],
      ['Given up', (row) => at(row.dead_ms)],
      ['Why', (row) => row.why],
    ],
    deeds: (row) => (row.again ? [] : [redeliver(row)]),
    empty: 'Every event has reached its endpoint.',
  },
  {
    title: 'Accounts',
    path: 'accounts',
    rows: (answer) => answer.accounts,
    summary: (answer) => count(answer.accounts.length, 'account'),
    keyOf: (row) => row.account_id,
    columns: [
      ['Account', (row) => row.account_id],
      ['Agents log in by', (row) => words(row.agent_login)],
    ],
    empty: 'This gateway serves no account.',
  },
];

/** One live session, more closely. @param {string} sessionId @returns {Section} */
export function sessionSection(sessionId) {
  return {
    title: `Session ${sessionId}`,
    path: `sessions/${encodeURIComponent(sessionId)}`,
    rows: (answer) => answer.participants,
    summary: ({ participants, drops }) => `${count(participants.length, 'person')}, ${dropped(drops)}`,
    keyOf: (row) => row.participant_id,
    columns: [
      ['Who', (row) => `${row.role}${row.owner ? ', in charge' : ''}${row.way ? ` (${row.way})` : ''}`],
      ['Is', (row) => row.attendance],
      ['Sends', sends],
      ['Quality', (row) => [row.quality, words(row.reason)].filter(Boolean).join(': ')],
      ['In', (row) => rate(row.line.bitrate_in)],
      ['Out', (row) => rate(row.line.bitrate_out)],
      ['Lost in, out', (row) => `${percent(row.line.loss_in)}, ${percent(row.line.loss_out)}`],
      ['Round trip', (row) => (row.line.round_trip_ms === null ? '' : `${Math.round(row.line.round_trip_ms)} ms`)],
    ],
    empty: 'Nobody is in it.',
  };
}

/** @param {Row} row @returns {Deed} */
function end({ session_id: id }) {
  const path = `sessions/${encodeURIComponent(id)}/end`;
  const done = () => 'It has ended for everybody.';
  return { name: 'End', certain: 'End it for everybody?', about: `Session ${id}`, done, path, body: {} };
}

/** @param {Row} row @returns {Deed} */
function drain({ node }) {
  return {
    name: 'Drain',
    certain: 'Drain within 5 minutes?',
    about: `Node ${node}`,
    done: (answer) => `It gets no new session; it is ${stateOf(answer)}.`,
    path: `nodes/${encodeURIComponent(node)}/drain`,
    body: { deadline_s: DRAIN_S },
  };
}

/** @param {Row} row @returns {Deed} */
function undrain({ node }) {
  const path = `nodes/${encodeURIComponent(node)}/undrain`;
  const done = () => 'Sessions may come again.';
  return { name: 'Use again', certain: 'Let sessions come again?', about: `Node ${node}`, done, path, body: {} };
}

/** @param {Row} row @returns {Deed} */
function redeliver({ endpoint_id, session_id, seq, type }) {
  return {
    name: 'Send again',
    certain: 'Send it once more?',
    about: `${type} of ${session_id}`,
    done: (answer) => (answer.count ? 'It is sent once more.' : 'Nothing was left to send.'),
    path: 'redeliveries',
    body: { endpoint_id, session_id, seq },
  };
}

/** @param {Row} row */
function sends({ microphone, camera, screen }) {
  const parts = [microphone && 'voice', camera && 'camera', screen && 'screen'];
  return parts.filter(Boolean).join(', ') || 'nothing';
}

/** @param {Record<string, number>} drops */
function dropped(drops) {
  const lost = (drops.kernel ?? 0) + (drops.sends_blocked ?? 0);
  return lost ? `${count(lost, 'packet')} lost in the relay` : 'nothing lost in the relay';
}

/** @param {number} bits */
function rate(bits) {
  return bits ? `${Math.round(bits / 1000)} kbit/s` : '';
}

/** @param {number} fraction */
function percent(fraction) {
  return `${(100 * fraction).toFixed(fraction && fraction < 0.1 ? 1 : 0)} %`;
}

/** @param {string|null} stable */
function words(stable) {
  return (stable ?? '').replaceAll('_', ' ');
}

/** @param {Row} row */
function stateOf({ drain: state, deadline_ms: deadline }) {
  const words = DRAIN[/** @type {keyof typeof DRAIN} */ (state)] ?? state;
  return state === 'moving' && deadline ? `${words} until ${at(deadline)}` : words;
}

/** @param {number} number @param {string} what */
function count(number, what) {
  return `${number} ${number === 1 ? what : PLURALS[what] ?? `${what}s`}`;
}

/** @param {number|null} ms Unix time. */
function at(ms) {
  return ms ? new Date(ms).toLocaleString() : '';
}

/** @param {number} ms */
function lasted(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
