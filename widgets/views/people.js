import { say } from '../catalogues/words.js';
import { may, ownEntry } from '../session/select.js';
import { Avatar, nameOf } from './avatar.js';
import { wordButton } from './buttons.js';
import { el, setAttr, setText, show } from './dom.js';
import { GuestLinks } from './guest-links.js';
import { keyed } from './keyed.js';
import { Panel } from './panel.js';

/** Who is there, who waits, and what one may do about each. */
export class PeoplePanel extends Panel {
  #client;
  #attempt;
  #list = el('ul', { class: 'people' });
  #links;
  #colleagues;

  /**
   * @param {SessionClient} client @param {Attempt} attempt @param {Write} write
   * @param {ColleaguesClass} [Colleagues] Where there may be any.
   */
  constructor(client, attempt, write, Colleagues) {
    super(say('people'));
    this.#client = client;
    this.#attempt = attempt;
    this.#links = new GuestLinks(client, attempt, write, this.root);
    this.#colleagues = Colleagues && new Colleagues(client, attempt, this.root);
    this.body.append(this.#list, this.#links.root, this.#colleagues?.root ?? '');
  }

  /** @param {Session} session @returns {string[]} Who came to wait meanwhile, to be said aloud. */
  update(session) {
    /** @type {string[]} */
    const news = [];
    const entries = [...session.roster].sort((a, b) => Number(b.attendance === 'lobby') - Number(a.attendance === 'lobby'));
    keyed(
      this.#list,
      entries,
      (entry) => entry.participant_id,
      (entry) => {
        if (entry.attendance === 'lobby' && this.open) {
          // They stand first, maybe out of sight.
          this.body.scrollTop = 0;
          news.push(say('waits', { name: nameOf(entry) }));
        }
        return new PersonRow(this.#client, this.#attempt, entry.participant_id);
      },
      (row, entry) => row.update(entry, session),
    );
    show(this.#links, may(session, 'invite'));
    this.#links.update(session);
    this.#colleagues?.update();
    return news;
  }
}

/** One person of the list, and what this person may do about them. */
class PersonRow {
  #avatar = new Avatar();
  #name = el('span', { class: 'strong' });
  #note = el('span', { class: 'fine' });
  #words = el('div', { class: 'person-words' }, this.#name, this.#note);
  root = el('li', { class: 'person' }, this.#avatar, this.#words);
  #buttons;

  /** @param {SessionClient} client @param {Attempt} attempt @param {string} participant_id */
  constructor(client, attempt, participant_id) {
    /** @param {string} type @param {object} [more] */
    const ask = (type, more) => () => attempt(client.ask({ type, participant_id, ...more }));
    /** @param {string} word @param {() => void} act @param {string} [more] */
    const deed = (word, act, more = '') => wordButton(word, act, `small deed ${more}`);
    this.#buttons = {
      admit: wordButton('let_in', ask('participant.admit'), 'primary small'),
      refuse: wordButton('refuse', ask('participant.refuse'), 'small'),
      mute_person: deed('mute_person', ask('participant.mute', { sources: ['microphone'] })),
      stop_video: deed('stop_video', ask('participant.mute', { sources: ['camera'] })),
      hand_over: deed('hand_over', ask('session.hand_over')),
      ask_screen: deed('ask_screen', ask('screen.request')),
      remove: deed('remove', ask('participant.remove'), 'stop'),
    };
    this.root.append(el('div', { class: 'person-actions' }, ...Object.values(this.#buttons)));
  }

  /** @param {RosterEntry} entry @param {Session} session */
  update(entry, session) {
    const self = entry.participant_id === session.participant_id;
    const lobby = entry.attendance === 'lobby';
    const name = nameOf(entry);
    this.#avatar.update(name, entry.picture);
    setText(this.#name, self ? `${name} (${say('you')})` : name);
    setText(this.#note, noteOf(entry, !visits(session.role)));
    const { admit, refuse, ...deeds } = this.#buttons;
    const act = !lobby && !self && may(session, 'moderate') && !isHidden(entry);
    for (const [word, { root }] of Object.entries(deeds)) {
      setAttr(root, 'aria-label', say('colon', { a: say(word), b: name }));
    }
    for (const button of [admit, refuse]) show(button, lobby && may(session, 'admit'));
    show(deeds.mute_person, act && entry.microphone);
    show(deeds.stop_video, act && entry.camera);
    show(deeds.ask_screen, act && visits(entry.role) && !entry.screen && entry.capabilities.includes('send_screen'));
    show(deeds.remove, act && entry.role !== 'consumer');
    const owner = ownEntry(session)?.owner === true;
    show(deeds.hand_over, !lobby && owner && !self && entry.role === 'agent');
  }
}

/** Whether who has this role is not of the staff. @param {string} role */
const visits = (role) => /consumer|guest/u.test(role);

/** @param {RosterEntry} entry */
const isHidden = ({ way }) => way === 'monitor' || way === 'whisper';

/** @param {RosterEntry} entry @param {boolean} staff Nobody else is told to doubt a name. */
function noteOf(entry, staff) {
  if (entry.attendance === 'lobby') return say('in_lobby');
  return [
    say(`role_${entry.role}`),
    entry.owner && say('owner'),
    isHidden(entry) && say(`is_${entry.way}`),
    entry.visitor_differs && say('visitor_differs'),
    staff && entry.role === 'consumer' && !entry.verified && say('not_verified'),
    entry.attendance === 'reconnecting' && say('is_back_soon'),
  ].filter(Boolean).join(' · ');
}
