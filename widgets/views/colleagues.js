import { say } from '../catalogues/words.js';
import { may } from '../session/select.js';
import { wordButton } from './buttons.js';
import { el, setText, show } from './dom.js';
import { keyed } from './keyed.js';

/** The account's other agents, looked for while the panel is open. */
export class Colleagues {
  #client;
  #attempt;
  #panel;
  #list = el('ul', { class: 'people' });
  #said = el('p', { class: 'fine', role: 'status' });
  root = el('div', { hidden: true }, el('h3', { text: say('colleagues') }), this.#list, this.#said);

  /** @param {SessionClient} client @param {Attempt} attempt @param {HTMLElement} panel */
  constructor(client, attempt, panel) {
    this.#client = client;
    this.#attempt = attempt;
    this.#panel = panel;
    let timer = 0;
    panel.addEventListener('panelopen', () => {
      attempt(this.#look());
      timer = setInterval(() => void this.#look().catch(() => {}), 4_000);
    });
    panel.addEventListener('panelclose', () => clearInterval(timer));
  }

  get #allowed() {
    return may(this.#client.session, 'invite');
  }

  update() {
    show(this, this.#allowed && this.#list.hasChildNodes());
  }

  async #look() {
    if (!this.#allowed) return;
    const { colleagues } = await this.#client.ask({ type: 'colleague.list' });
    keyed(
      this.#list,
      colleagues,
      ({ agent_id }) => agent_id,
      ({ agent_id, name }) => {
        const row = newRow(name || agent_id, () => this.#attempt(this.#ask(row, agent_id)));
        return row;
      },
      (row, { asked }) => {
        if (row.asked === 'asked' && asked === 'declined') {
          setText(this.#said, say('declined', { name: row.name }));
        }
        row.asked = asked;
        row.button.set(say(`colleague_${asked}`));
        row.button.root.disabled = row.asking || asked === 'asked';
      },
    );
    this.update();
  }

  /** @param {ReturnType<typeof newRow>} row @param {string} agentId */
  async #ask(row, agentId) {
    setText(this.#said, '');
    // A button that can no more be pressed would take the focus along.
    this.#panel.focus();
    row.asking = true;
    row.button.root.disabled = true;
    try {
      await this.#client.ask({ type: 'colleague.ask', agent_id: agentId });
      await this.#look();
    } finally {
      row.asking = false;
      row.button.root.disabled = row.asked === 'asked';
    }
  }
}

/** @param {string} name @param {() => void} ask */
function newRow(name, ask) {
  const button = wordButton('', ask, 'small');
  const root = el('li', { class: 'person' }, el('span', { class: 'person-words', text: name }), button);
  return { root, name, button, asked: '', asking: false };
}
