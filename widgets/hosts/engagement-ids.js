/** @param {unknown} value Empty when there is none. */
function idText(value) {
  if (typeof value !== 'string' && typeof value !== 'number') return '';
  return String(value).trim().slice(0, 128);
}

/**
 * What is known of an engagement, from what the host's SDK and the page's address tell.
 * @param {...(Record<string, unknown>|null)} tellers What a later one tells counts more.
 * @returns {EngagementIds|null} Null while the account is unknown.
 */
export function engagementIds(...tellers) {
  /** @type {Record<string, string|boolean>} */
  const ids = {};
  for (const [name, value] of tellers.flatMap((told) => Object.entries(told ?? {}))) {
    const text = idText(value);
    if (typeof value === 'boolean') ids[name] = value;
    else if (name === 'visitor_name' && text) ids[name] = text.slice(0, 80);
    else if (text) ids[name] = (/agent_id$/u.test(name) && text.split(/[.:]/u).at(-1)) || text;
  }
  return ids.account_id ? /** @type {EngagementIds} */ (ids) : null;
}

const IN_ADDRESS = Object.entries({
  account_id: 'accountId',
  rt_session_id: 'rtSessionId',
  window_session_id: 'sessionId',
  conversation_id: 'conversationId',
  agent_id: 'agentId',
  chatting_agent_id: 'chattingAgentId',
  visitor_id: 'visitorId',
  participant_visitor_id: 'participantVisitorId',
  visitor_name: 'visitorName',
  channel: 'channel',
});

/** Ids that a page was given in its address. @param {URLSearchParams} query */
export function idsFromQuery(query) {
  return engagementIds(Object.fromEntries(IN_ADDRESS.map(([id, name]) => [id, query.get(name)])));
}

/** @param {EngagementIds} ids As `idsFromQuery` reads them. */
export function idsToQuery(ids) {
  const known = IN_ADDRESS.filter(([id]) => ids[id]);
  return Object.fromEntries(known.map(([id, name]) => [name, String(ids[id])]));
}
