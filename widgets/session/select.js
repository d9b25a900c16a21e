/** @param {Session} session @param {string|null} participantId */
export function entryOf(session, participantId) {
  return session.roster.find((entry) => entry.participant_id === participantId) ?? null;
}

/** @param {Session} session */
export function ownEntry(session) {
  return entryOf(session, session.participant_id);
}

/** Who else is here or on the way back. @param {Session} session */
export function others(session) {
  return session.roster.filter(
    (entry) =>
      entry.participant_id !== session.participant_id &&
      (entry.attendance === 'present' || entry.attendance === 'reconnecting'),
  );
}

/** Whether the one button ends it for everybody. @param {Session|null} session */
export function ends(session) {
  return /agent|consumer/u.test(session?.role ?? '') && may(session, 'end_for_all');
}

/** @param {Session|null} session @param {string} capability */
export function may(session, capability) {
  return session?.capabilities.includes(capability) === true;
}

/** Whether one comes back into it after a reload. @param {Session|null} session */
export function keepable(session) {
  return ['present', 'reconnecting', 'lobby'].includes(session?.attendance ?? '');
}

/** @param {Session} session */
export function invitationIsOpen(session) {
  const state = session.invitation?.state;
  return state === 'sent' || state === 'ringing';
}

/** Up to two letters of a name; Arabic ones would join. @param {string} name */
export function initials(name) {
  const [first = '', ...more] = name.trim().split(/\s+/u).map((word) => [...word][0] ?? '');
  const last = /\p{Script=Arabic}/u.test(first) ? '' : more.at(-1) ?? '';
  return (first + last).toLocaleUpperCase();
}

/** A length of time as people read it, `m:ss` or `h:mm:ss`. @param {number} ms */
export function clock(ms) {
  const time = Math.max(0, ms);
  const hours = Math.floor(time / 3_600_000);
  const rest = new Date(time).toISOString().slice(14, 19);
  return hours > 0 ? `${hours}:${rest}` : rest.replace(/^0/u, '');
}
