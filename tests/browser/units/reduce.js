import { INITIAL, moved, reduce } from '../../../widgets/session/reduce.js';
import { clock, initials, others } from '../../../widgets/session/select.js';
import { frozen, same } from './check.js';

const entry = (id, role, more = {}) => ({
  participant_id: id,
  role,
  name: id,
  picture: null,
  attendance: 'present',
  mode: 'video',
  owner: role === 'agent',
  verified: true,
  capabilities: ['send_audio'],
  microphone: true,
  camera: true,
  screen: false,
  ...more,
});
const invitation = (state = 'ringing') => ({
  invitation_id: 'i1',
  state,
  mode: 'video',
  from_name: 'Alex',
  from_picture: null,
  surfaces: ['launcher'],
  visible: true,
  expires_in_ms: 60_000,
  reason: null,
});
const snapshot = (more = {}) => ({
  type: 'session.snapshot',
  seq: 1,
  session_id: 's1',
  epoch: 1,
  participant_id: 'me',
  role: 'consumer',
  mode: 'video',
  attendance: 'present',
  capabilities: ['send_audio', 'send_video'],
  roster: [entry('agent', 'agent'), entry('me', 'consumer')],
  invitation: null,
  guest_invitations: [],
  seats: [{ kind: 'seat', index: 0, participant_id: 'agent' }],
  media: { seats: 7, screens: 1, ice_servers: [], relay_only: false },
  started_ms_ago: 5_000,
  ...more,
});
const play = (messages, from = INITIAL, now = 100_000) =>
  messages.reduce((state, message) => frozen(reduce(state, frozen(message), now)), frozen(from));
const welcome = (in_session) => ({ type: 'connection.welcome', role: 'consumer', in_session });
const invited = snapshot({ attendance: 'invited', roster: [], invitation: invitation() });

export const tests = {
  'what is not saved is known until it is, or until a snapshot says everything anew'() {
    const saving = (saved) => ({ type: 'session.saving', seq: 2, saved });
    const unsaved = (...messages) => play([welcome(true), snapshot(), ...messages]).session.unsaved;
    same([unsaved(), unsaved(saving(false)), unsaved(saving(false), saving(true))], [false, true, false]);
    same([unsaved(saving(false), snapshot()), unsaved(snapshot(), saving(false))], [false, true]);
  },
  'a snapshot is the whole session'() {
    const { session } = play([welcome(true), snapshot()]);
    same([session.session_id, session.startedAt, session.attendance], ['s1', 95_000, 'present']);
    same(session.seats['seat:0'].participant_id, 'agent');
    same(others(session).map(({ name }) => name), ['agent']);
  },
  'an open link ends by the time at which it was told of'() {
    const links = [{ guest_invitation_id: 'g1', name: 'Noa', uses_left: 1, expires_in_ms: 90_000 }];
    const changed = { type: 'guests.changed', seq: 2, guest_invitations: links };
    for (const messages of [[snapshot({ guest_invitations: links })], [snapshot(), changed]]) {
      same(play(messages).session.guest_invitations[0].until, 190_000);
    }
  },
  'the same message twice changes nothing more'() {
    for (const message of [
      snapshot(),
      { type: 'roster.changed', seq: 2, roster: [entry('me', 'consumer')] },
      { type: 'media.seats', seq: 3, epoch: 1, seats: [{ kind: 'seat', index: 1, participant_id: 'x' }] },
      { type: 'session.ended', seq: 4, session_id: 's1', reason: 'ended_by_agent' },
    ]) {
      const once = play([snapshot(), message]);
      same(play([message], once), once);
    }
  },
  'an unknown message changes nothing'() {
    const state = play([snapshot()]);
    same(reduce(state, { type: 'weather.changed', sky: 'blue' }, 0) === state, true);
    same(reduce(INITIAL, { type: 'roster.changed', roster: [] }, 0) === INITIAL, true);
  },
  'attendance follows the own entry of the roster'() {
    const lobby = snapshot({ attendance: 'lobby', roster: [] });
    const roster = [entry('me', 'guest')];
    const { session } = play([lobby, { type: 'roster.changed', seq: 2, roster }]);
    same(session.attendance, 'present');
  },
  'what was never shown is nothing to come back to'() {
    same(play([{ type: 'resume.renewed', resume: 'r' }, welcome(false)]).resume, null);
  },
  'an invitation answered elsewhere stays there until a click'() {
    const answered = { type: 'invitation.elsewhere', seq: 2, invitation_id: 'i1' };
    const roster = [entry('agent', 'agent'), entry('me', 'consumer')];
    let state = play([invited, answered, { type: 'roster.changed', seq: 3, roster }]);
    same(state.session.attendance, 'elsewhere');
    state = play([snapshot()], state);
    same(state.session.attendance, 'elsewhere');
    same(moved(state, 'present').session.attendance, 'present');
    state = play([{ type: 'session.ended', seq: 4, session_id: 's1', reason: 'ended_by_agent' }], state);
    same([state.session, state.over], [null, null]);
  },
  'an invitation of another time is not the one answered elsewhere'() {
    const other = { type: 'invitation.elsewhere', seq: 2, invitation_id: 'i0' };
    same(play([invited, other]).session.attendance, 'invited');
  },
  'a withdrawn invitation is over in its own words'() {
    for (const [state, reason] of [['cancelled', 'cancelled'], ['expired', 'expired'], ['declined', 'declined'], ['ringing', 'cancelled']]) {
      const changed = { type: 'invitation.changed', seq: 2, invitation: invitation(state) };
      const left = { type: 'session.left', seq: 3, reason: 'left' };
      same(play([invited, changed, left]).over, {
        reason,
        for: 'invitation',
        elapsedMs: 5_000,
        by: '',
        unsaved: false,
        rating: null,
      });
    }
  },
  'leaving and ending say why'() {
    const leaving = { type: 'session.left', seq: 2, reason: 'removed' };
    const left = play([snapshot(), leaving]);
    same([left.session, left.over.for, left.over.reason, left.over.by], [null, 'me', 'removed', '']);
    const removed = (by_participant_id) => play([snapshot(), { ...leaving, by_participant_id }]).over.by;
    same([removed('agent'), removed('backend'), removed(null)], ['agent', '', '']);
    const ended = { type: 'session.ended', seq: 2, session_id: 's1', reason: 'too_long' };
    same(play([snapshot(), ended]).over.reason, 'too_long');
    const saving = { type: 'session.saving', seq: 2, saved: false };
    const unsaved = (...messages) => play([snapshot(), ...messages]).over.unsaved;
    same([unsaved(ended), unsaved(saving, ended), unsaved(saving, leaving)], [false, true, true]);
  },
  'seats change one by one, and an older epoch has no say'() {
    const seats = (epoch, index, participant_id) => ({
      type: 'media.seats',
      seq: 2,
      epoch,
      seats: [{ kind: 'seat', index, participant_id }],
    });
    const { session } = play([snapshot({ epoch: 2 }), seats(2, 1, 'guest'), seats(1, 0, 'nobody')]);
    same(session.seats['seat:0'].participant_id, 'agent');
    same(session.seats['seat:1'].participant_id, 'guest');
  },
  'a takeover empties the seats and keeps the people'() {
    const { session } = play([snapshot(), { type: 'session.moved', epoch: 2 }]);
    same([session.epoch, session.seats, session.roster.length], [2, {}, 2]);
    same(play([snapshot({ epoch: 3 }), { type: 'session.moved', epoch: 2 }]).session.epoch, 3);
  },
  'a welcome without session ends what was known'() {
    same(play([snapshot(), welcome(false)]).over.reason, 'lost');
    same(play([welcome(false)]).over, null);
  },
  'the resume token outlives the snapshot and dies with the session'() {
    const renewed = { type: 'resume.renewed', resume: 'sealed' };
    const state = play([renewed, snapshot()]);
    same(state.resume, 'sealed');
    same(play([{ type: 'session.left', seq: 2, reason: 'left' }], state).resume, null);
  },
  'ways in stand until there is a session or they close, and who asks goes with them'() {
    const ways = (open, asked_by = null, about = null) => ({ type: 'ways.changed', ways: open, asked_by, about });
    const shown = (...messages) => {
      const { ways: open, askedBy, about } = play(messages);
      return [open, askedBy, about];
    };
    const nothing = [[], null, null];
    const asked = ways(['consult'], 'Alex', 'Maya');
    same(shown(ways(['take_over', 'consult'])), [['take_over', 'consult'], null, null]);
    same(shown(asked), [['consult'], 'Alex', 'Maya']);
    same(shown(asked, ways(['join'])), [['join'], null, null]);
    same(shown(asked, ways([])), nothing);
    same(shown(asked, snapshot()), nothing);
  },
  'what was said keeps the name of who has left, and only the latest hundred'() {
    const said = (seq) => ({ type: 'text.said', seq, participant_id: 'agent', text: `${seq}` });
    const gone = { type: 'roster.changed', seq: 3, roster: [entry('me', 'consumer')] };
    const { lines } = play([snapshot(), said(2), gone]).session;
    same(lines, [{ id: 1, by: 'agent', name: 'agent', text: '2' }]);
    const many = play([snapshot(), ...Array.from({ length: 120 }, (_, at) => said(at))]).session.lines;
    same([many.length, many.at(-1).id, many[0].text], [100, 120, '20']);
  },
  'a line that is said again by the next actor stands once'() {
    const said = (text_id) => ({ type: 'text.said', seq: 2, participant_id: 'agent', text: 'hello', text_id });
    const moved = { type: 'session.moved', epoch: 2 };
    const lines = (...messages) => play([snapshot(), ...messages]).session.lines.map(({ id }) => id);
    same(lines(said('a'), said('b'), moved, said('a'), said('c')), [1, 2, 3]);
    same(lines(said(''), said('')), [1, 2]);
  },
  'a session that has ended can be rated by its resume token, an invitation cannot'() {
    const renewed = { type: 'resume.renewed', resume: 'sealed' };
    const ended = { type: 'session.ended', seq: 2, session_id: 's1', reason: 'ended_by_agent' };
    same(play([renewed, snapshot(), ended]).over.rating, 'sealed');
    same(play([renewed, snapshot({ attendance: 'invited', invitation: invitation() }), ended]).over.rating, null);
    const left = { type: 'session.left', seq: 2, reason: 'transferred' };
    same(play([renewed, snapshot(), left]).over, { ...play([snapshot(), left]).over, rating: null });
  },
  'a start waits until a moment of our own clock, and the next word sets it anew'() {
    const waiting = (within_ms) => ({ type: 'session.waiting', within_ms });
    same([play([]).waits, play([waiting(5_000)]).waits], [0, 105_000]);
    same(play([waiting(5_000), waiting(7_000)]).waits, 107_000);
  },
  'it waits no more once there is a session, and on where something else is refused'() {
    const waiting = { type: 'session.waiting', within_ms: 5_000 };
    const refused = { type: 'request.refused', reply_to: 'a', code: 'ledger_away', message: '', retryable: true };
    const ended = { type: 'session.ended', seq: 2, session_id: 's1', reason: 'ended_by_agent' };
    same([play([waiting, refused]).waits, play([waiting, snapshot(), ended]).waits], [105_000, 0]);
  },
  'being muted twice is told twice'() {
    const muted = { type: 'participant.muted', seq: 2, by_participant_id: 'agent', sources: ['microphone'] };
    const [once, twice] = [[muted], [muted, muted]].map((all) => play([snapshot(), ...all]).session.muted);
    same([once, once === twice], [{ by: 'agent', sources: ['microphone'] }, false]);
  },
  'names and times are written for people'() {
    same([initials('Maya Cohen'), initials('李小龍'), initials('  '), initials('J')], ['MC', '李', '', 'J']);
    // Two Arabic letters would join to what is no letter of the name.
    same([initials('محمد الأحمد'), initials('מאיה כהן'), initials(' anna maria  lang ')], ['م', 'מכ', 'AL']);
    same([clock(-5), clock(61_000), clock(3_600_000 + 62_000)], ['0:00', '1:01', '1:01:02']);
  },
};
