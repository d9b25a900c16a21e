import { knows, say } from '../catalogues/words.js';
import { canShare } from '../media/trouble.js';
import { entryOf, may, others, ownEntry } from '../session/select.js';
import { nameOf } from './avatar.js';
import { wordButton } from './buttons.js';
import { el, setText } from './dom.js';
import { keyed } from './keyed.js';
import { qualityWords } from './tile.js';
import { troubleSentence } from './trouble-sentence.js';

/** @type {Record<string, string>} */
const AWAY = { failed: 'media_failed', no_common_codec: 'no_common_codec', lost: 'reconnecting', reconnecting: 'reconnecting_media' };

/** What is wrong now, and what waits for a decision of this person: a strip for each, over the stage. */
export class Notices {
  #among;
  /** The keys of what was read. @type {Set<string>} */
  #read = new Set();
  /** When it comes again, it is said anew. */
  #trouble = '';
  /** The wish for the screen that was answered. @type {Session['screenAsked']} */
  #answered = null;
  root = el('div');

  /** @param {Among} among */
  constructor(among) {
    this.#among = among;
  }

  /**
   * @param {Session} session @param {boolean} [listed] It is seen elsewhere who waits,
   * @param {boolean} [checked] and what is wrong with the devices.
   */
  update(session, listed, checked) {
    const { media } = this.#among.client;
    const wishes = [
      ...this.#troubles(checked),
      ...(session.unsaved ? [{ key: 'unsaved', text: say('unsaved') }] : []),
      ...ownLine(session),
      ...away(session),
      ...(media.publishing.screen ? [{ key: 'shares', text: say('you_share'), choices: [{ say: 'screen_on', act: () => media.turn('screen', false) }] }] : []),
      ...this.#mine(session),
      ...this.#warnings(session),
      ...this.#wishes(session),
      ...(listed ? [] : this.#lobby(session)),
      ...this.#conflicts(session),
    ];
    const shown = wishes.filter(({ key }) => !this.#read.has(key));
    keyed(this.root, shown, ({ key }) => key, newNotice, (notice, { text }) => setText(notice.text, text), this.#among.home);
  }

  /** The worst of it, and the way out. @param {boolean} [checked] @returns {Wish[]} */
  #troubles(checked) {
    const { going, link, media, mediaLink: { state: flow } } = this.#among.client;
    const signal = going ? 'going' : flow === 'connected' ? 'reconnecting_signal' : 'reconnecting';
    const away = link.status === 'open' ? AWAY[flow] : signal;
    if (checked && !away) return [];
    const text = away ? say(away) : troubleSentence(media.troubles);
    if (text !== this.#trouble) this.#read.delete(this.#trouble);
    this.#trouble = text;
    if (!text) return [];
    const act = this.#among.ownWindow;
    const framed = !away && act && Object.values(media.troubles).includes('blocked_by_frame');
    const choices = [...(framed ? [{ say: 'own_window', act }] : []), this.#dismiss(text)];
    return [{ key: text, text, warns: true, choices }];
  }

  /** @type {WishesOf} */
  #mine = (session) => {
    const own = ownEntry(session);
    const way = own?.way;
    if (way === 'monitor' || way === 'whisper') {
      const other = way === 'monitor' ? 'whisper' : 'monitor';
      return [{ key: way, text: say(`now_${way}`), choices: [this.#go(other), this.#go('join')] }];
    }
    const { host } = this.#among;
    const chatting = host?.chatting ?? null;
    if (!host || chatting === null || own?.role !== 'agent') return [];
    if (chatting && own.owner) host.led = session.session_id;
    if (!chatting) {
      host.led = '';
      this.#read.delete('present');
    }
    // Host and session differ on whose the conversation is.
    if (own.owner === chatting) return [];
    if (!chatting) return [{ key: 'lent', text: say('transferred_away'), choices: [this.#dismiss('lent')] }];
    const owner = others(session).find((one) => one.owner);
    // Who gave it away wanted that.
    if (owner?.attendance === 'present' && host.led === session.session_id) return [];
    const key = owner?.attendance ?? 'nobody';
    const text = owner ? say('transferred_here', { name: nameOf(owner) }) : say('transferred_nobody');
    return [{ key, text, choices: [this.#go('take_over'), ...(owner ? [this.#dismiss(key)] : [])] }];
  };

  /** The host SDKs do not agree on who the consumer is. @type {WishesOf} */
  #warnings = ({ roster }) =>
    roster.filter((one) => one.visitor_differs).map((one) => {
      const key = `visitor-${one.participant_id}`;
      const text = say('colon', { a: nameOf(one), b: say('visitor_differs') });
      return { key, text, choices: [this.#dismiss(key)] };
    });

  /** @type {WishesOf} */
  #wishes = (session) => {
    const asked = session.screenAsked;
    if (!asked || asked === this.#answered) return [];
    const name = entryOf(session, asked.by)?.name || say('an_agent');
    const text = asked.by === session.participant_id ? say('share_ended') : say('screen_asked', { name });
    // From a click, or no browser shares a screen.
    const answer = () => {
      this.#answered = asked;
      this.#again();
    };
    const share = () => {
      void this.#among.client.media.turn('screen', true);
      answer();
    };
    const act = canShare(true) && this.#among.ownWindow;
    const way = canShare() ? { say: 'screen_off', act: share, first: true } : act && { say: 'own_window', act };
    const choices = [...(way ? [way] : []), { say: 'not_now', act: answer }];
    return [{ key: 'screen', text, choices }];
  };

  /** Who waits to be let in, one after the other. @type {WishesOf} */
  #lobby = (session) => {
    const one = session.roster.find(({ attendance }) => attendance === 'lobby');
    if (!one || !may(session, 'admit')) return [];
    const { participant_id } = one;
    const choices = this.#judge('participant.admit', 'participant.refuse', { participant_id });
    return [{ key: participant_id, text: say('waits', { name: nameOf(one) }), choices }];
  };

  /** @type {WishesOf} */
  #conflicts = (session) => {
    const consumer = session.roster.find(({ role }) => role === 'consumer');
    const text = say('conflict', { name: consumer?.name || say('your_visitor') });
    return session.conflicts.map(({ conflict_id, differences }) => {
      // Where they are says nothing of who they are.
      const lines = differences.filter(({ what }) => knows(`differs_${what}`)).map(difference);
      const choices = this.#judge('conflict.admit', 'conflict.dismiss', { conflict_id });
      return { key: conflict_id, text, lines: lines[0] ? lines : [say('conflict_same')], choices };
    });
  };

  /** @param {string} yes @param {string} no @param {object} whom @returns {Choice[]} */
  #judge(yes, no, whom) {
    return [
      { say: 'let_in', act: this.#ask({ type: yes, ...whom }), first: true },
      { say: 'refuse', act: this.#ask({ type: no, ...whom }) },
    ];
  }

  /** @param {string} way @returns {Choice} */
  #go(way) {
    return { say: `way_${way}`, act: this.#ask({ type: 'session.join', way }), first: way === 'take_over' };
  }

  /** @param {ToBroker} message */
  #ask(message) {
    const { attempt, client } = this.#among;
    return () => attempt(client.ask(message));
  }

  /** @param {string} key @returns {Choice} */
  #dismiss(key) {
    const act = () => {
      this.#read.add(key);
      this.#again();
    };
    return { say: 'dismiss', act };
  }

  #again() {
    this.#among.client.dispatchEvent(new Event('change'));
  }
}

/** One strip, of which only the first sentence ever changes. @param {Wish} wish */
function newNotice({ lines = [], choices = [], warns }) {
  const text = el('p');
  const list = el('ul', { class: 'fine' }, ...lines.map((line) => el('li', { text: line })));
  const said = el('div', { class: 'notice-words' }, text, list);
  const buttons = choices.map(({ say: key, act, first }) => wordButton(key, act, first ? 'primary small' : 'small'));
  const root = el('div', { class: `notice ${warns ? 'warning' : ''}` }, said, el('div', { class: 'row' }, ...buttons));
  return { root, text };
}

/** One's own line, which no tile shows to oneself. @type {WishesOf} */
const ownLine = ({ quality, participant_id }) => {
  const own = quality[participant_id];
  return own?.grade === 'poor' ? [{ key: 'line', text: qualityWords(own) }] : [];
};

/** Of the only other the stage says it. @type {WishesOf} */
const away = (session) => {
  const all = others(session);
  const lost = all.filter(({ attendance }) => all[1] && attendance !== 'present');
  return lost.map((one) => ({ key: one.participant_id, text: say('colon', { a: nameOf(one), b: say('is_back_soon') }) }));
};

/** @param {Difference} difference */
function difference({ what, claimed, known }) {
  const unknown = say('value_unknown');
  return say('differs', { what: say(`differs_${what}`), claimed: claimed ?? unknown, known: known ?? unknown });
}
