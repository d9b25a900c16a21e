import { FEATURES } from './scene.js';

/** The demo: the agent's workspace and the brand's shop, meeting in one conversation. */
const query = new URLSearchParams(location.search);
if (!query.get('conversation')) {
  // In the address, so that a reload comes back to the same conversation.
  query.set('conversation', String(Math.floor(1e8 + Math.random() * 9e8)));
  history.replaceState(null, '', `?${query}`);
}
const config = await (await fetch('/demo-config.json', { cache: 'no-store' })).json();
const note = /** @type {HTMLElement} */ (document.getElementById('note'));
note.textContent = config.note ?? '';
for (const name of ['workspace', 'shop']) {
  const frame = /** @type {HTMLIFrameElement} */ (document.getElementById(name));
  frame.allow = FEATURES.map((feature) => `${feature} 'self' ${config.gateway}`).join('; ');
  frame.src = `/${name}.html?${query}`;
}
for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('[data-as]'))) {
  link.href = `/workspace.html?${new URLSearchParams([...query, ['as', link.dataset.as ?? '']])}`;
}
const form = /** @type {HTMLFormElement} */ (document.getElementById('choices'));
for (const field of form.querySelectorAll('select')) field.value = query.get(field.name) ?? field.value;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  const next = new URLSearchParams();
  for (const field of form.querySelectorAll('select')) {
    if (field.value) next.set(field.name, field.value);
  }
  location.search = next.toString();
});
