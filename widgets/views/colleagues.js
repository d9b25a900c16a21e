import { say } from '../catalogues/words.js';
import { wordButton } from './buttons.js';
import { el, show } from './dom.js';

/**
 * The account's other agents, to be asked to help; looked for while the panel is open.
 * @param {SessionClient} client @param {Attempt} attempt @param {HTMLElement} panel
 */
export function colleagueList(client, attempt, panel) {
  const list = el('ul', { class: 'people' });
  const root = el('div', { hidden: true }, el('h3', { text: say('colleagues') }), list);
  let shown = '';
  let timer = 0;
  /** @param {ColleagueView} colleague */
  const row = ({ agent_id, name, asked }) => {
    const ask = () => attempt(client.ask({ type: 'colleague.ask', agent_id }).then(look));
    const button = wordButton(say(`colleague_${asked}`), ask, { kind: 'small' });
    button.root.disabled = asked === 'asked';
    const words = el('span', { class: 'person-words', text: name || agent_id });
    return el('li', { class: 'person' }, words, button.root);
  };
  const look = async () => {
    const { colleagues } = await client.ask({ type: 'colleague.list' });
    const text = JSON.stringify(colleagues);
    if (text === shown) return;
    shown = text;
    if (list.contains(document.activeElement)) panel.focus();
    show(root, colleagues.length > 0);
    list.replaceChildren(...colleagues.map(row));
  };
  panel.addEventListener('panelopen', () => {
    attempt(look());
    timer = Number(setInterval(() => void look().catch(() => {}), 4_000));
  });
  panel.addEventListener('panelclose', () => clearInterval(timer));
  return root;
}
