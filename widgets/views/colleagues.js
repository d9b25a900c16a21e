import { say } from '../catalogues/words.js';
import { may } from '../session/select.js';
import { wordButton } from './buttons.js';
import { el, keyed, setText, show } from './dom.js';

/** The account's other agents, to be asked to help; looked for while the panel is open. */
export class Colleagues {
  #client;
  #attempt;
  #panel;
  #list = el('ul', { class: 'people' });
  /** @type {Map<string, Row>} */
  #rows = new Map();
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
      timer = Number(setInterval(() => void this.#look().catch(() => {}), 4_000));
    });
    panel.addEventListener('panelclose', () => clearInterval(timer));
  }

  get #allowed() {
    const { session } = this.#client;
    return session !== null && may(session, 'invite');
  }

  update() {
    show(this.root, this.#allowed && this.#rows.size > 0);
  }

  async #look() {
    if (!this.#allowed) return;
    /** @type {readonly ColleagueView[]} */
    const colleagues = (await this.#client.ask({ type: 'colleague.list' })).colleagues;
    const held = this.#list.contains(document.activeElement);
    keyed(
      this.#list,
      this.#rows,
      colleagues,
      ({ agent_id }) => agent_id,
      ({ agent_id }) => {
        const row = new Row(() => this.#attempt(this.#ask(row, agent_id)));
        return row;
      },
      (row, colleague) => {
        const name = colleague.name || colleague.agent_id;
        const declined = row.asked === 'asked' && colleague.asked === 'declined';
        if (declined) setText(this.#said, say('ring_declined', { name }));
        row.update(name, colleague.asked);
      },
    );
    if (held && !this.#list.contains(document.activeElement)) this.#panel.focus();
    this.update();
  }

  /** @param {Row} row @param {string} agentId */
  async #ask(row, agentId) {
    setText(this.#said, '');
    // A button that can no more be pressed would take the focus along.
    this.#panel.focus();
    row.asking(true);
    try {
      await this.#client.ask({ type: 'colleague.ask', agent_id: agentId });
      await this.#look();
    } finally {
      row.asking(false);
    }
  }
}

class Row {
  asked = '';
  #asking = false;
  #name = el('span', { class: 'person-words' });
  #button;
  root;

  /** @param {() => void} ask */
  constructor(ask) {
    this.#button = wordButton('', ask, { kind: 'small' });
    this.root = el('li', { class: 'person' }, this.#name, this.#button.root);
  }

  /** @param {string} name @param {string} asked */
  update(name, asked) {
    this.asked = asked;
    setText(this.#name, name);
    this.#button.set(say(`colleague_${asked}`));
    this.asking(this.#asking);
  }

  /** @param {boolean} now */
  asking(now) {
    this.#asking = now;
    this.#button.root.disabled = now || this.asked === 'asked';
  }
}
