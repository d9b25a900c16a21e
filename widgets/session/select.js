/** @param {SessionState} session @param {string|null} participantId @returns {RosterEntry|null} */
export function entryOf(session, participantId) {
  return session.roster.find((entry) => entry.participant_id === participantId) ?? null;
}

/** @param {SessionState} session */
export function ownEntry(session) {
  return entryOf(session, session.participant_id);
}

/** Who else is here or on the way back. @param {SessionState} session */
export function others(session) {
  return session.roster.filter(
    (entry) =>
      entry.participant_id !== session.participant_id &&
      (entry.attendance === 'present' || entry.attendance === 'reconnecting'),
  );
}

/** @param {SessionState} session @param {string} capability */
export function may(session, capability) {
  return session.capabilities.includes(capability);
}

/**
 * Whether host and session differ on whose the conversation is.
 * @param {SessionState} session @param {boolean|null} chatting What the host says, if anything.
 */
export function transferred(session, chatting) {
  const own = ownEntry(session);
  return chatting !== null && own?.role === 'agent' && own.owner !== chatting;
}

/** @param {SessionState} session */
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

/** @param {number} ms @returns {string} `m:ss` or `h:mm:ss`. */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const hours = Math.floor(seconds / 3600);
  const tail = String(parts[1]).padStart(2, '0');
  if (hours === 0) return `${parts[0]}:${tail}`;
  return `${hours}:${String(parts[0]).padStart(2, '0')}:${tail}`;
}
