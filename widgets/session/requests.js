/**
 * What more than one part of a widget asks of the broker, or awaits an answer of. Each promise
 * rejects with the broker's refusal.
 */

/**
 * @param {SessionClient} client @param {string} name May be empty.
 * @returns {Promise<{url: string, guest_invitation_id: string}>}
 */
export function inviteGuest(client, name) {
  return client.ask({ type: 'guest.invite', ...(name ? { name } : {}) });
}

/** Come into the live session that the ways lead to. @param {SessionClient} client @param {string} way */
export function comeIn(client, way) {
  return client.ask({ type: 'session.join', way });
}

/** @param {SessionClient} client @returns {Promise<readonly ColleagueView[]>} */
export async function listColleagues(client) {
  return (await client.ask({ type: 'colleague.list' })).colleagues;
}
