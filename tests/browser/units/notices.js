import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { Notices } from '../../../widgets/views/notices.js';
import { same } from './check.js';

const person = (id, more = {}) => ({ participant_id: id, role: 'guest', name: id, attendance: 'present', ...more });
const session = (more = {}) => ({
  session_id: 's1',
  participant_id: 'me',
  capabilities: ['admit'],
  roster: [person('me', { role: 'agent' }), person('Maya', { role: 'consumer' })],
  conflicts: [],
  screenAsked: null,
  quality: {},
  ...more,
});

const owned = (mine, ...others) => session({ roster: [person('me', { role: 'agent', owner: mine }), ...others] });
const STANDS = 'The conversation is yours, but Dana is in charge of the session. If you take over, Dana leaves it.';
const dana = (more = {}) => person('Dana', { role: 'agent', owner: true, ...more });

/**
 * Strips whose client sends nowhere.
 * @param {Record<string, unknown>} [state] @param {{chatting: boolean|null, led: string}} [host]
 * @param {(() => void)|null} [ownWindow]
 */
async function strips(state = {}, host = { chatting: null, led: '' }, ownWindow = null) {
  await loadLanguage(['en']);
  const sent = [];
  const client = Object.assign(new EventTarget(), {
    link: { status: 'open' },
    mediaLink: { state: 'connected' },
    media: { troubles: {}, publishing: {} },
    ask: async (message) => void sent.push(message),
    ...state,
  });
  const notices = new Notices({ client, attempt: (asked) => asked, host, ownWindow });
  const shown = (...now) => {
    notices.update(...now);
    return [...notices.root.children].map((strip) => strip.querySelector('.notice-words').textContent);
  };
  const press = (name) =>
    [...notices.root.querySelectorAll('button')].find(({ textContent }) => textContent === name).click();
  const offered = () => [...notices.root.querySelectorAll('button')].map(({ textContent }) => textContent);
  return { client, shown, press, sent, offered };
}

export const tests = {
  async 'who shares the screen reads so as long as it lasts, and can stop there'() {
    const asked = [];
    const media = { troubles: {}, publishing: { screen: true }, turn: async (...what) => void asked.push(what) };
    const { shown, press } = await strips({ media });
    same(shown(session()), ['You are sharing your screen.']);
    press('Stop sharing');
    media.publishing = { screen: false };
    same([asked, shown(session())], [[['screen', false]], []]);
  },

  async 'what differs of somebody else is said beside what is known, and not where they stand'() {
    const { shown } = await strips();
    const differences = [
      { what: 'visitor_id', known: '1', claimed: '2' },
      { what: 'visitor_name', known: 'Maya', claimed: null },
      { what: 'surface', known: 'launcher', claimed: 'window' },
    ];
    const lines = ['Visitor ID: 2 (in the session: 1)', 'Name: not known (in the session: Maya)'];
    const asked = (found) => shown(session({ conflicts: [{ conflict_id: 'x', differences: found }] }));
    same(asked(differences), [`Somebody else says they are Maya${lines.join('')}`]);
  },

  async 'who is not in charge of their own conversation may take over, or leave it so'() {
    const { shown, press, sent } = await strips({}, { chatting: true, led: '' });
    const now = owned(false, dana());
    same(shown(now), [STANDS]);
    press('Take over');
    same(sent, [{ type: 'session.join', way: 'take_over' }]);
    press('Dismiss');
    same(shown(now), []);
    same(shown(owned(false)), ['The conversation is yours, and nobody is in charge of the session.']);
  },

  async 'who put another in charge is offered it back only when that one is lost, or after another transfer'() {
    const host = { chatting: true, led: '' };
    const { shown } = await strips({}, host);
    same(shown(owned(true)), []);
    same(shown(owned(false, dana())), []);
    same(shown(owned(false, dana({ attendance: 'reconnecting' }))), [STANDS]);
    // Another page of theirs knows it, too, and that it was of this session.
    const another = { chatting: true, led: host.led };
    const { shown: shownThere } = await strips({}, another);
    same(shownThere(owned(false, dana())), []);
    same(shownThere({ ...owned(false, dana()), session_id: 'next' }), [STANDS]);
    host.chatting = false;
    shown(owned(false, dana()));
    host.chatting = true;
    same(shown(owned(false, dana())), [STANDS]);
  },

  async 'who is lost is named while others are there, and until they are back'() {
    const { shown } = await strips();
    const among = (...people) => session({ roster: [person('me', { role: 'agent' }), ...people] });
    const lost = person('Tom', { attendance: 'reconnecting' });
    same(shown(among(lost)), []);
    same(shown(among(lost, person('Maya'))), ['Tom: Reconnecting…']);
    same(shown(among(person('Tom'), person('Maya'))), []);
  },

  async 'who waits longest is let in or sent away, unless the list of people shows them'() {
    const { shown, press, sent } = await strips();
    const waits = (id) => person(id, { attendance: 'lobby' });
    const crowd = session({ roster: [waits('Noa'), waits('Ben')] });
    same([shown(crowd), shown(crowd, true), shown({ ...crowd, capabilities: [] })], [['Noa waits to be let in'], [], []]);
    shown(crowd);
    press('Let in');
    press('Send away');
    same(sent, [
      { type: 'participant.admit', participant_id: 'Noa' },
      { type: 'participant.refuse', participant_id: 'Noa' },
    ]);
  },

  async 'a trouble that was read is said again when it comes again'() {
    const { client, shown, press } = await strips();
    const now = (camera) => {
      client.media.troubles = { microphone: null, camera, screen: null };
      return shown(session()).length;
    };
    same(now('no_device'), 1);
    press('Dismiss');
    same([now('no_device'), now(null), now('no_device')], [0, 0, 1]);
  },

  async 'a trouble of devices stands once while their check is open, and a lost connection all the same'() {
    const { client, shown, press } = await strips();
    client.media.troubles = { microphone: null, camera: 'no_device', screen: null };
    const now = (checked) => shown(session(), false, checked).length;
    same([now(), now(true), now()], [1, 0, 1]);
    client.link.status = 'reconnecting';
    same(now(true), 1);
    client.link.status = 'open';
    now();
    press('Dismiss');
    same([now(), now(true), now()], [0, 0, 0]);
  },

  async 'a share that stayed behind is said to whoever shared, and is shared again by a click'() {
    const asked = [];
    const media = { troubles: {}, publishing: {}, turn: async (...what) => void asked.push(what) };
    const { shown, press } = await strips({ media });
    const missed = session({ screenAsked: { by: 'me' } });
    same(shown(missed), ['Your screen is no longer shared.']);
    press('Share screen');
    same([asked, shown(missed)], [[['screen', true]], []]);
  },

  async 'no share is offered where the frame or the browser allows none'() {
    const wished = session({ screenAsked: { by: 'Maya' } });
    const { shown, offered } = await strips();
    Object.defineProperty(document, 'permissionsPolicy', {
      configurable: true,
      value: { allowsFeature: (feature) => feature !== 'display-capture' },
    });
    try {
      same(shown(wished), ['Maya would like to see your screen.']);
      same(offered(), ['Not now']);
      // What frames the page has no say in a window of its own.
      const framed = await strips({}, undefined, () => {});
      framed.shown(wished);
      same(framed.offered(), ['Open in own window', 'Not now']);
    } finally {
      delete document.permissionsPolicy;
    }
    const free = await strips();
    free.shown(wished);
    same(free.offered(), ['Share screen', 'Not now']);
  },
};
