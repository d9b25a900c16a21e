/**
 * Offer a link in the conversation: in messaging as a card; elsewhere, or where cards are refused,
 * as a line in the agent's input box.
 * @param {AgentHost} host @param {string} text @param {string} url
 * @returns {Promise<boolean>} Whether the workspace took it.
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
