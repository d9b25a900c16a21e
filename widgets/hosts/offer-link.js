/**
 * Offer a link in the conversation: as a card, in messaging; elsewhere, or where that is refused,
 * as a line in the agent's input box. Tells whether the workspace took it.
 * @param {import('./agent-host.js').AgentHost} host @param {string} text @param {string} url
 */
export async function offerLink(host, text, url) {
  if (host.values['chatInfo.isMessaging'] === true) {
    const link = { type: 'link', uri: url, name: text };
    const button = { type: 'button', title: text, tooltip: text, click: { actions: [link] } };
    const json = { type: 'vertical', elements: [button] };
    if (await host.command('writeSC', 'Write StructuredContent', { json })) return true;
  }
  return host.write(`${text} ${url}`);
}
