/** @typedef {import('../protocol/messages.js').RosterEntry} RosterEntry */
/** @typedef {import('../protocol/messages.js').InvitationView} InvitationView */
/** @typedef {import('../protocol/messages.js').GuestInvitationView} GuestInvitationView */
/** @typedef {import('../protocol/messages.js').SeatAssignment} SeatAssignment */
/** @typedef {import('../protocol/messages.js').MediaLimits} MediaLimits */
/** @typedef {import('../protocol/messages.js').ReachView} ReachView */

/**
 * The session as this participant sees it.
 *
 * @typedef {object} SessionState
 * @property {string} id
 * @property {number} epoch
 * @property {string} participantId
 * @property {string} role
 * @property {string} mode
 * @property {string} attendance `invited`, `lobby`, `present`, `reconnecting`, or `elsewhere`: the
 *   person takes part on another surface.
 * @property {readonly string[]} capabilities
 * @property {readonly RosterEntry[]} roster
 * @property {InvitationView|null} invitation
 * @property {number} invitationUntil When the invitation expires, on the widget's clock (ms).
 * @property {readonly GuestInvitationView[]} guestInvitations
 * @property {Readonly<Record<string, SeatAssignment>>} seats By `seat:0`, `screen:0`, ….
 * @property {MediaLimits} media
 * @property {number} startedAt On the widget's clock (ms).
 * @property {string|null} speaker
 * @property {Readonly<Record<string, {grade: string, reason: string|null}>>} quality
 * @property {string} transport How the relay sees this widget's transport; empty until it says.
 */

/**
 * Everything the broker has told this widget, as a value.
 *
 * @typedef {object} WidgetState
 * @property {string|null} role
 * @property {ReachView|null} reach
 * @property {SessionState|null} session
 * @property {string|null} resume Sealed; what brings a reloaded frame back into the session.
 * @property {{reason: string, for: 'session'|'me'|'invitation', elapsedMs: number, fromName: string}|null} over
 *   Why the last session is over for this widget.
 * @property {{by: string, sources: readonly string[], count: number}|null} muted
 *   The last time a moderator stopped something here.
 */

/** @type {WidgetState} */
export const INITIAL = Object.freeze({
  role: null,
  reach: null,
  session: null,
  resume: null,
  over: null,
  muted: null,
});
