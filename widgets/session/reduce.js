import { entryOf, invitationIsOpen, ownEntry } from './select.js';

const NO_WAYS = { ways: [], askedBy: null, about: null, waits: 0 };
const UNTOLD = { conflicts: [], lines: [], screenAsked: null, muted: null, speaker: null, quality: {} };
/** @type {WidgetState} */
export const INITIAL = Object.freeze({
  role: null,
  reach: null,
  ...NO_WAYS,
  session: null,
  resume: null,
  over: null,
});

/**
 * The widget's state after one more message. Pure; an unknown or a repeated one changes nothing.
 * @param {WidgetState} state @param {BrokerMessage} message
 * @param {number} now The widget's clock in milliseconds. @returns {WidgetState}
 */
export function reduce(state, message, now) {
  switch (message.type) {
    case 'connection.welcome': {
      // Without a session what was known is over.
      const known = message.in_session ? state : over(state, 'lost', 'session', now);
      return { ...known, role: message.role };
    }
    case 'reach.changed':
      return { ...state, reach: message.consumer };
    case 'ways.changed': {
      const { ways, asked_by: askedBy = null, about = null } = message;
      return { ...state, ways, askedBy, about };
    }
    case 'session.waiting':
      return { ...state, waits: now + message.within_ms };
    case 'resume.renewed':
      return { ...state, resume: message.resume };
    case 'session.snapshot':
      return { ...state, session: fromSnapshot(state.session, message, now), over: null, ...NO_WAYS };
    case 'session.left':
      return over(state, message.reason, 'me', now, message.by_participant_id);
    case 'session.ended':
      return over(state, message.reason, 'session', now);
    default: {
      if (!state.session) return state;
      const session = inSession(state.session, message, now);
      return session === state.session ? state : { ...state, session };
    }
  }
}

/**
 * The person goes on with this session on another surface, or brings it here.
 * @param {WidgetState} state @param {'elsewhere'|'present'} attendance
 */
export function moved(state, attendance) {
  return state.session ? { ...state, session: missed(standing(state.session, attendance)) } : state;
}

/** No page goes on with what another shared. @param {Session} session */
function missed(session) {
  const by = session.participant_id;
  return session.attendance === 'present' && ownEntry(session)?.screen ? { ...session, screenAsked: { by } } : session;
}

/** @param {Session} session @param {string} attendance */
function standing(session, attendance) {
  return session.attendance === attendance ? session : { ...session, attendance };
}

/** @param {Session} session @param {BrokerMessage} message @param {number} now @returns {Session} */
function inSession(session, message, now) {
  switch (message.type) {
    case 'invitation.changed':
      return {
        ...session,
        invitation: message.invitation,
        invitationUntil: now + message.invitation.expires_in_ms,
      };
    case 'invitation.elsewhere':
      if (session.invitation?.invitation_id !== message.invitation_id) return session;
      return standing(session, 'elsewhere');
    case 'roster.changed': {
      const known = { ...session, roster: message.roster };
      const own = ownEntry(known);
      // On another surface: that changes by a click only.
      return own && session.attendance !== 'elsewhere' ? standing(known, own.attendance) : known;
    }
    case 'guests.changed':
      return { ...session, guest_invitations: withEnds(message.guest_invitations, now) };
    case 'rights.changed':
    case 'conflicts.changed':
      return { ...session, ...told(message) };
    case 'media.seats':
      if (message.epoch < session.epoch) return session;
      return { ...session, seats: seated(session.seats, message.seats) };
    case 'text.said':
      return { ...session, lines: withLine(session, message) };
    case 'participant.muted':
      return { ...session, muted: { by: message.by_participant_id, sources: message.sources } };
    case 'screen.requested':
      return { ...session, screenAsked: { by: message.by_participant_id } };
    case 'media.speaker':
      return { ...session, speaker: message.participant_id };
    case 'media.quality':
      return { ...session, quality: { ...session.quality, [message.participant_id]: message } };
    case 'session.saving':
      return { ...session, unsaved: !message.saved };
    case 'session.moved':
      if (message.epoch <= session.epoch) return session;
      return { ...session, epoch: message.epoch, seats: {} };
    default:
      return session;
  }
}

/**
 * @param {Session|null} before
 * @param {Extract<BrokerMessage, {type: 'session.snapshot'}>} message @param {number} now
 * @returns {Session}
 */
function fromSnapshot(before, message, now) {
  const same = before?.session_id === message.session_id;
  const session = {
    // What no snapshot tells is known from before.
    ...(same ? before : UNTOLD),
    ...told(message),
    attendance: same && before.attendance === 'elsewhere' ? 'elsewhere' : message.attendance,
    invitationUntil: now + (message.invitation?.expires_in_ms ?? 0),
    guest_invitations: withEnds(message.guest_invitations, now),
    seats: seated({}, message.seats),
    startedAt: now - message.started_ms_ago,
    unsaved: false,
  };
  return same ? session : missed(session);
}

/** @param {readonly GuestInvitationView[]} links @param {number} now */
function withEnds(links, now) {
  return links.map((link) => ({ ...link, until: now + link.expires_in_ms }));
}

/** What a message says. @template {{type: string, seq: number}} M @param {M} message */
function told({ type: _type, seq: _seq, ...fields }) {
  return fields;
}

/**
 * The latest hundred, none twice; each with the name of who wrote it and may have left.
 * @param {Session} session @param {Extract<BrokerMessage, {type: 'text.said'}>} message
 */
function withLine(session, { participant_id: by, text, text_id }) {
  const { lines } = session;
  if (text_id && lines.some((line) => line.text_id === text_id)) return lines;
  const name = entryOf(session, by)?.name ?? '';
  const id = (lines.at(-1)?.id ?? 0) + 1;
  return [...lines.slice(-99), { id, by, name, text, text_id }];
}

/** @param {Session['seats']} seats @param {readonly SeatAssignment[]} changes */
function seated(seats, changes) {
  const next = { ...seats };
  for (const change of changes) next[`${change.kind}:${change.index}`] = change;
  return next;
}

/**
 * No session any more, and what is to be said of it; nothing where the person went on elsewhere.
 * @param {WidgetState} state @param {string} reason @param {'session'|'me'} what
 * @param {number} now @param {string|null} [by] @returns {WidgetState}
 */
export function over(state, reason, what, now, by = null) {
  const { session } = state;
  const gone = { ...state, session: null, resume: null };
  if (!session || session.attendance === 'elsewhere') return gone;
  // Who was only invited has left no session: the invitation is over.
  const ringing = session.attendance === 'invited';
  const closed = invitationIsOpen(session) ? null : session.invitation?.state;
  return {
    ...gone,
    over: {
      reason: ringing ? closed ?? 'cancelled' : reason,
      for: ringing ? 'invitation' : what,
      elapsedMs: now - session.startedAt,
      by: entryOf(session, by)?.name ?? '',
      unsaved: session.unsaved,
      rating: !ringing && what === 'session' ? state.resume : null,
    },
  };
}
