import { say } from '../catalogues/words.js';
import { entryOf, may, others, ownEntry, transferred } from '../session/select.js';
import { wordButton } from './buttons.js';
import { el, keyed, setText } from './dom.js';
import { qualityWords } from './tile.js';
import { troubleSentence } from './trouble-sentence.js';

/** What is wrong now and what waits for a decision of this person: a strip for each, over the stage. */
export class Notices {
  #client;
  #attempt;
  #chatting;
  #ownWindow;
  /** @type {Map<string, Notice>} */
  #views = new Map();
  /** The keys of what was read. @type {Set<string>} */
  #read = new Set();
  /** What is the matter with the devices; it is said anew when it comes again. */
  #trouble = '';
  /** The wish for the screen that was answered. @type {SessionState['screenAsked']} */
  #answered = null;
  root = el('div', {});

  /**
   * @param {SessionClient} client @param {Attempt} attempt
   * @param {() => boolean|null} chatting What the agent's host says: is the conversation theirs?
   * @param {(() => void)|null} ownWindow
   */
  constructor(client, attempt, chatting, ownWindow) {
    this.#client = client;
    this.#attempt = attempt;
    this.#chatting = chatting;
    this.#ownWindow = ownWindow;
  }

  /** @param {SessionState} session @param {boolean} [listed] Whether it is seen elsewhere who waits. */
  update(session, listed = false) {
    const wishes = [
      ...this.#troubles(),
      ...(session.unsaved ? [{ key: 'unsaved', text: say('unsaved'), choices: [] }] : []),
      ...ownLine(session),
      ...this.#mine(session),
      ...this.#warnings(session),
      ...this.#wishes(session),
      ...(listed ? [] : this.#lobby(session)),
      ...this.#conflicts(session),
    ];
    keyed(
      this.root,
      this.#views,
      wishes.filter(({ key }) => !this.#read.has(key)),
      (item) => item.key,
      (item) => new Notice(item),
      (notice, item) => notice.update(item),
    );
  }

  /** The worst of what is wrong: what still works, and the way out. @returns {Wish[]} */
  #troubles() {
    const { link, mediaState, media } = this.#client;
    const away =
      link.status !== 'open'
        ? mediaState === 'connected' ? 'reconnecting_signal' : 'reconnecting'
        : mediaState === 'failed' ? 'media_failed' : mediaState === 'reconnecting' ? 'reconnecting_media' : '';
    if (away) return [{ key: 'away', warns: true, text: say(away), choices: [] }];
    const text = troubleSentence(media.troubles);
    if (text !== this.#trouble) this.#read.delete(this.#trouble);
    this.#trouble = text;
    if (!text) return [];
    const act = this.#ownWindow;
    const framed = act && Object.values(media.troubles).includes('blocked_by_frame');
    const choices = [...(framed ? [{ say: say('own_window'), act }] : []), this.#dismiss(text)];
    return [{ key: text, warns: true, text, choices }];
  }

  /** How this member of the staff stands. @param {SessionState} session @returns {Wish[]} */
  #mine(session) {
    const way = ownEntry(session)?.way;
    if (way === 'monitor' || way === 'whisper') {
      const other = way === 'monitor' ? 'whisper' : 'monitor';
      return [{ key: way, text: say(`now_${way}`), choices: [this.#go(other), this.#go('join')] }];
    }
    const chatting = this.#chatting();
    if (!transferred(session, chatting)) return [];
    if (!chatting) return [{ key: 'lent', text: say('transferred_away'), choices: [this.#dismiss('lent')] }];
    const owner = others(session).find((one) => one.owner);
    const text = owner
      ? say('transferred_here', { name: owner.name || say('role_agent') })
      : say('transferred_nobody');
    return [{ key: 'here', text, choices: [this.#go('take_over')] }];
  }

  /** The host SDKs do not agree on who the consumer is. @param {SessionState} session @returns {Wish[]} */
  #warnings(session) {
    return session.roster
      .filter((one) => one.visitor_differs)
      .map(({ participant_id: id, name, role }) => ({
        key: `visitor-${id}`,
        text: say('colon', { a: name || say(`role_${role}`), b: say('visitor_differs') }),
        choices: [this.#dismiss(`visitor-${id}`)],
      }));
  }

  /** @param {string} key @returns {Wish['choices'][number]} */
  #dismiss(key) {
    const act = () => {
      this.#read.add(key);
      this.#again();
    };
    return { say: say('dismiss'), act };
  }

  #again() {
    this.#client.dispatchEvent(new Event('change'));
  }

  /** @param {SessionState} session @returns {Wish[]} */
  #wishes(session) {
    const asked = session.screenAsked;
    if (asked === null || asked === this.#answered) return [];
    const name = entryOf(session, asked.by)?.name || say('an_agent');
    // From a click, or no browser shares a screen.
    const answer = (/** @type {boolean} */ share) => () => {
      this.#answered = asked;
      if (share) void this.#client.media.setScreen(true);
      this.#again();
    };
    return [
      {
        key: 'screen',
        text: say('screen_asked', { name }),
        choices: [
          { say: say('screen_off'), act: answer(true), first: true },
          { say: say('not_now'), act: answer(false) },
        ],
      },
    ];
  }

  /** Who waits to be let in, one after the other. @param {SessionState} session @returns {Wish[]} */
  #lobby(session) {
    const one = session.roster.find(({ attendance }) => attendance === 'lobby');
    if (!one || !may(session, 'admit')) return [];
    const { participant_id, name, role } = one;
    const text = say('waits', { name: name || say(`role_${role}`) });
    return [{ key: participant_id, text, choices: this.#judge('participant', 'refuse', { participant_id }) }];
  }

  /** @param {SessionState} session @returns {Wish[]} */
  #conflicts(session) {
    const consumer = session.roster.find(({ role }) => role === 'consumer');
    const text = say('conflict', { name: consumer?.name || say('your_visitor') });
    return session.conflicts.map(({ conflict_id, differences }) => {
      // Where on the page they are says nothing of who they are.
      const lines = differences.filter(({ what }) => what !== 'surface').map(difference);
      const choices = this.#judge('conflict', 'dismiss', { conflict_id });
      return { key: conflict_id, text, lines: lines.length > 0 ? lines : [say('conflict_same')], choices };
    });
  }

  /**
   * Let somebody in, or not.
   * @param {string} what @param {string} no The verb of a no. @param {Record<string, string>} whom
   * @returns {Wish['choices']}
   */
  #judge(what, no, whom) {
    const ask = (/** @type {string} */ verb) => () =>
      this.#attempt(this.#client.ask({ type: `${what}.${verb}`, ...whom }));
    return [
      { say: say('let_in'), act: ask('admit'), first: true },
      { say: say('refuse'), act: ask(no) },
    ];
  }

  /** @param {string} way @returns {Wish['choices'][number]} */
  #go(way) {
    const act = () => this.#attempt(this.#client.ask({ type: 'session.join', way }));
    return { say: say(`way_${way}`), act, first: way === 'take_over' };
  }
}

/** One strip. What it asks never changes; what it says may. */
class Notice {
  #text = el('p', { class: 'strong' });
  #lines = el('ul', { class: 'fine' });
  root;

  /** @param {Wish} wish */
  constructor({ choices, warns }) {
    const buttons = choices.map(({ say: name, act, first }) =>
      wordButton(name, act, { kind: first ? 'primary small' : 'small' }),
    );
    this.root = el(
      'div',
      { class: warns ? 'notice warning' : 'notice' },
      el('div', { class: 'notice-words' }, this.#text, this.#lines),
      el('div', { class: 'row' }, ...buttons.map((button) => button.root)),
    );
  }

  /** @param {Wish} wish */
  update({ text, lines = [] }) {
    setText(this.#text, text);
    if (this.#lines.childElementCount === lines.length) return;
    this.#lines.replaceChildren(...lines.map((line) => el('li', { text: line })));
  }
}

/** One's own line, which no tile shows to oneself. @param {SessionState} session @returns {Wish[]} */
function ownLine({ quality, participantId }) {
  const own = quality[participantId];
  if (own?.grade !== 'poor') return [];
  return [{ key: 'line', text: qualityWords(own), choices: [] }];
}

/** @param {Difference} difference */
function difference({ what, ...both }) {
  // Each in the direction of its own writing.
  const [claimed, known] = [both.claimed, both.known].map((one) => `\u2068${one ?? say('unknown')}\u2069`);
  return say('differs', { what: say(`differs_${what}`), claimed: claimed ?? '', known: known ?? '' });
}
