/**
 * What a widget asks of the broker now and then, mostly about other people. Each promise rejects
 * with the broker's refusal.
 */

/**
 * @param {SessionClient} client @param {string} name May be empty.
 * @returns {Promise<{url: string, guest_invitation_id: string}>}
 */
export function inviteGuest(client, name) {
  return client.ask({ type: 'guest.invite', ...(name ? { name } : {}) });
}

/** @param {SessionClient} client @param {string} id */
export function revokeGuest(client, id) {
  return client.ask({ type: 'guest.revoke', guest_invitation_id: id });
}

/** @param {SessionClient} client @param {'admit'|'refuse'|'remove'} verb @param {string} id */
export function moderate(client, verb, id) {
  return client.ask({ type: `participant.${verb}`, participant_id: id });
}

/**
 * @param {SessionClient} client @param {string} id
 * @param {('microphone'|'camera'|'screen')[]} sources
 */
export function mute(client, id, sources) {
  return client.ask({ type: 'participant.mute', participant_id: id, sources });
}

/** @param {SessionClient} client @param {string} id */
export function handOver(client, id) {
  return client.ask({ type: 'session.hand_over', participant_id: id });
}

/** @param {SessionClient} client @param {string} id */
export function askForScreen(client, id) {
  return client.ask({ type: 'screen.request', participant_id: id });
}

/**
 * Let in, or keep out, somebody else who says they are the consumer.
 * @param {SessionClient} client @param {'admit'|'dismiss'} verb @param {string} id
 */
export function judge(client, verb, id) {
  return client.ask({ type: `conflict.${verb}`, conflict_id: id });
}

/** Come into the live session that the ways lead to. @param {SessionClient} client @param {string} way */
export function comeIn(client, way) {
  return client.ask({ type: 'session.join', way });
}

/** @param {SessionClient} client @param {string} text */
export function sendText(client, text) {
  return client.ask({ type: 'text.send', text });
}

/** @param {SessionClient} client @returns {Promise<readonly ColleagueView[]>} */
export async function listColleagues(client) {
  return (await client.ask({ type: 'colleague.list' })).colleagues;
}

/** @param {SessionClient} client @param {string} agent_id */
export function askColleague(client, agent_id) {
  return client.ask({ type: 'colleague.ask', agent_id });
}

/** Help not with what one is asked to. @param {SessionClient} client */
export function declineColleague(client) {
  return client.ask({ type: 'colleague.decline' });
}
