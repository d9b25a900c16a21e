import { errorSentence, say } from '../catalogues/words.js';
import { ends, may, others } from '../session/select.js';
import { Announcer } from './announcer.js';
import { nameOf } from './avatar.js';
import { wordButton } from './buttons.js';
import { ControlBar } from './control-bar.js';
import { el, setText, show } from './dom.js';
import { deviceCheckLater, Later } from './later.js';
import { Stage } from './stage.js';

/** The screen of somebody who takes part; the same for agent, consumer and guest. */
export class SessionView {
  #client;
  #stage;
  #bar;
  #people;
  #more;
  #devices;
  #text;
  #notices;
  #announcer = new Announcer();
  #who = el('p', { class: 'strong' });
  #wait = el('p', { text: say('over_next') });
  #invite;
  #last = '';
  #alone = el('div', { class: 'alone' }, this.#who, this.#wait);
  #over;
  /** @param {unknown} error */
  #failed = (error) => this.#announcer.tell(errorSentence(error));
  root;

  /** @param {SessionClient} client @param {SessionViewOptions} [options] */
  constructor(client, { write = null, ownWindow = null, over, host = null, colleagues, atEnd } = {}) {
    this.#client = client;
    /** @param {Promise<unknown>} asked */
    const attempt = (asked) => void asked.catch(this.#failed);
    /** @param {PanelLater} later */
    const toggle = (later) => () => attempt(later.use((panel) => panel.toggle()));
    this.#stage = new Stage(client);
    const update = () => this.update();
    this.#over = over?.(attempt, update);
    this.#people = new Later(
      () => Promise.all([import('./people.js'), colleagues?.(), atEnd?.()]),
      ([{ PeoplePanel }, more]) => new PeoplePanel(client, attempt, write, more?.Colleagues),
      update,
    );
    this.#devices = deviceCheckLater(client.media, update, (right) => may(client.session, right));
    this.#text = new Later(() => import('./text-panel.js'), ({ TextPanel }) => new TextPanel(client, attempt), update);
    this.#notices = new Later(
      () => import('./notices.js'),
      ({ Notices }) => new Notices({ client, attempt, host, ownWindow, home: this.#bar.root }),
      update,
    );
    this.#invite = wordButton('add_person', toggle(this.#people), 'small');
    this.#alone.append(this.#invite.root);
    const actions = {
      attempt,
      ownWindow,
      devices: () => attempt(this.#devices.use((panel) => panel.show())),
      text: toggle(this.#text),
      layoutChanged: update,
    };
    this.#more = new Later(
      () => import('./more-panel.js'),
      ({ MorePanel }) => new MorePanel(client, this.#stage, actions),
      update,
    );
    this.#bar = new ControlBar(client, {
      attempt,
      people: toggle(this.#people),
      more: toggle(this.#more),
      end: () => attempt(ends(client.session) ? client.end() : client.leave()),
    });
    this.root = el(
      'div',
      { class: 'session', on: { panelopen: update, panelclose: update } },
      el('div', { role: 'status', 'aria-atomic': 'false' }, this.#notices),
      el('div', { class: 'stage-box' }, this.#stage, this.#alone, this.#over, this.#announcer),
      this.#bar, this.#people, this.#more, this.#text, this.#devices,
    );
  }

  update() {
    const { session } = this.#client;
    if (!session) return;
    this.#announcer.update(session);
    const calls = session.invitation && session.invitation.state !== 'accepted';
    if (calls) this.#over?.hasten(this.#failed);
    const call = this.#over?.panel;
    call?.update();
    this.#stage.update(session);
    if (session.lines.length > 0) this.#text.hasten(this.#failed);
    for (const line of this.#text.panel?.update(session) ?? []) this.#announcer.tell(line);
    for (const line of this.#people.panel?.update(session) ?? []) this.#announcer.tell(line, line, false);
    const unread = this.#text.panel?.unread ?? 0;
    this.#bar.update(session, unread);
    this.#more.panel?.update(session, unread);
    // What tells of a line that is gone cannot be fetched over it.
    this.#notices.hasten(this.#failed);
    this.#notices.panel?.update(session, this.#people.panel?.open, this.#devices.panel?.open);
    this.#devices.panel?.update();
    // Whoever nothing comes of has no seat.
    const other = others(session).find(({ way }) => way !== 'monitor');
    if (other) this.#last = nameOf(other);
    const name = this.#last;
    const here = other && say(other.attendance === 'present' ? 'connecting' : 'is_back_soon');
    setText(this.#who, here ? say('colon', { a: name, b: here }) : say(name ? 'went' : 'alone', { name }));
    const seen = this.root.querySelector('.seat:not([hidden])');
    const called = call ? !call.root.hidden : calls && this.#over;
    show(this.#alone, !seen && !called);
    show(this.#wait, !other && session.role === 'consumer');
    show(this.#invite, !other && may(session, 'invite'));
  }

  onClosed() {
    this.#stage.onClosed();
    const parts = [this.#people, this.#more, this.#text, this.#notices, this.#devices, this.#over];
    for (const part of parts) part?.close();
  }
}
