import { say } from '../catalogues/words.js';
import { may, ownEntry } from '../session/select.js';
import { Avatar } from './avatar.js';
import { iconButton, wordButton } from './buttons.js';
import { Colleagues } from './colleagues.js';
import { el, keyed, setText, show } from './dom.js';
import { GuestLinks } from './guest-links.js';
import { Panel } from './panel.js';

/** Who is in the session, who waits, and what one may do about each. */
export class PeoplePanel extends Panel {
  #client;
  #attempt;
  #list = el('ul', { class: 'people' });
  /** @type {Map<string, PersonRow>} */
  #rows = new Map();
  #links;
  /** @type {Colleagues|null} */
  #colleagues = null;

  /**
   * @param {SessionClient} client @param {Attempt} attempt
   * @param {((text: string) => Promise<boolean>)|null} write Puts a line into the conversation.
   */
  constructor(client, attempt, write) {
    super(say('people'));
    this.#client = client;
    this.#attempt = attempt;
    this.#links = new GuestLinks(client, attempt, write);
    this.body.append(this.#list, this.#links.root);
    if (client.state.role === 'agent') {
      this.#colleagues = new Colleagues(client, attempt, this.root);
      this.body.append(this.#colleagues.root);
    }
  }

  /** @param {SessionState} session */
  update(session) {
    const entries = session.roster
      .filter((entry) => entry.attendance !== 'left')
      .sort((a, b) => Number(b.attendance === 'lobby') - Number(a.attendance === 'lobby'));
    keyed(
      this.#list,
      this.#rows,
      entries,
      (entry) => entry.participant_id,
      ({ attendance }) => {
        // They stand first, maybe out of sight.
        if (attendance === 'lobby') this.body.scrollTop = 0;
        return new PersonRow(this.#client, this.#attempt);
      },
      (row, entry) => row.update(entry, session),
    );
    show(this.#links.root, may(session, 'invite'));
    this.#links.update(session);
    this.#colleagues?.update();
  }
}

/** One person in the list. */
class PersonRow {
  #avatar = new Avatar();
  #name = el('span', { class: 'person-name' });
  #note = el('span', { class: 'fine' });
  #actions = el('div', { class: 'person-actions' });
  #id = '';
  root = el(
    'li',
    { class: 'person' },
    this.#avatar.root,
    el('div', { class: 'person-words' }, this.#name, this.#note),
    this.#actions,
  );
  #buttons;

  /** @param {SessionClient} client @param {Attempt} attempt */
  constructor(client, attempt) {
    /** @param {string} type @param {object} [more] */
    const ask = (type, more) => () =>
      attempt(client.ask({ type, participant_id: this.#id, ...more }));
    /** @param {string} sign @param {() => void} act Named when it is shown. */
    const icon = (sign, act) => iconButton('', sign, act, 'quiet small');
    this.#buttons = {
      admit: wordButton(say('let_in'), ask('participant.admit'), { kind: 'primary small' }),
      refuse: wordButton(say('refuse'), ask('participant.refuse'), { kind: 'small' }),
      mute_person: icon('microphone', ask('participant.mute', { sources: ['microphone'] })),
      stop_video: icon('camera', ask('participant.mute', { sources: ['camera'] })),
      ask_screen: icon('screen', ask('screen.request')),
      hand_over: icon('crown', ask('session.hand_over')),
      remove: icon('leave', ask('participant.remove')),
    };
    this.#actions.append(...Object.values(this.#buttons).map((button) => button.root));
  }

  /** @param {RosterEntry} entry @param {SessionState} session */
  update(entry, session) {
    this.#id = entry.participant_id;
    const self = entry.participant_id === session.participantId;
    const lobby = entry.attendance === 'lobby';
    const name = entry.name || say(`role_${entry.role}`);
    this.#avatar.update(name, entry.picture);
    setText(this.#name, self ? `${name} (${say('you')})` : name);
    setText(this.#note, noteOf(entry, lobby));
    const moderate = may(session, 'moderate') && !self;
    const { admit, refuse, ...icons } = this.#buttons;
    const hidden = entry.way === 'monitor' || entry.way === 'whisper';
    const act = !lobby && moderate && !hidden;
    for (const [word, button] of Object.entries(icons)) {
      button.set(say('colon', { a: say(word), b: name }));
    }
    const judge = lobby && may(session, 'admit');
    show(admit.root, judge);
    show(refuse.root, judge);
    show(icons.mute_person.root, act && entry.microphone);
    show(icons.stop_video.root, act && entry.camera);
    const guest = entry.role === 'consumer' || entry.role === 'guest';
    show(icons.ask_screen.root, act && guest && !entry.screen && entry.capabilities.includes('send_screen'));
    show(icons.remove.root, act && entry.role !== 'consumer');
    const owner = ownEntry(session)?.owner === true;
    show(icons.hand_over.root, !lobby && owner && !self && entry.role === 'agent');
  }
}

/** @param {RosterEntry} entry @param {boolean} lobby */
function noteOf(entry, lobby) {
  if (lobby) return say('in_lobby');
  const words = [say(`role_${entry.role}`)];
  if (entry.owner) words.push(say('owner'));
  if (entry.way === 'monitor' || entry.way === 'whisper') words.push(say(`is_${entry.way}`));
  if (entry.visitor_differs) words.push(say('visitor_differs'));
  if (entry.role === 'consumer' && !entry.verified) words.push(say('not_verified'));
  if (entry.attendance === 'reconnecting') words.push(say('is_back_soon'));
  return words.join(' · ');
}
