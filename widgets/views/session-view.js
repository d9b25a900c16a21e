import { say } from '../catalogues/words.js';
import { may, others } from '../session/select.js';
import { Announcer } from './announcer.js';
import { Banner } from './banner.js';
import { ControlBar } from './control-bar.js';
import { DeviceCheck } from './device-check.js';
import { el, show } from './dom.js';
import { MorePanel } from './more-panel.js';
import { PeoplePanel } from './people.js';
import { Stage } from './stage.js';
import { errorSentence } from './trouble-sentence.js';

/** The screen of somebody who takes part; the same for agent, consumer and guest. */
export class SessionView {
  #client;
  #stage;
  #bar;
  #people;
  #more;
  #banner;
  #devices;
  #announcer = new Announcer();
  #alone = el(
    'div',
    { class: 'alone', hidden: true },
    el('p', { class: 'strong', text: say('alone') }),
    el('p', { text: say('alone_help') }),
  );
  #over;
  root;

  /** @param {SessionClient} client @param {SessionViewOptions} [options] */
  constructor(client, { write = null, ownWindow = null, over } = {}) {
    this.#client = client;
    this.#over = over;
    /** @param {Promise<unknown>} asked */
    const attempt = (asked) => {
      asked.catch((error) => this.#announcer.tell(errorSentence(error)));
    };
    this.#stage = new Stage(client);
    this.#people = new PeoplePanel(client, attempt, write);
    this.#devices = new DeviceCheck(client.media);
    this.#more = new MorePanel(client, this.#stage, {
      attempt,
      ownWindow,
      devices: () => this.#devices.show(),
      layoutChanged: () => this.update(),
    });
    this.#bar = new ControlBar(client, {
      attempt,
      people: () => this.#only(this.#people),
      more: () => this.#only(this.#more),
      end: () => attempt(this.#end()),
    });
    this.#banner = new Banner(client, ownWindow);
    this.root = el(
      'div',
      { class: 'session', 'data-screen': 'session' },
      this.#banner.root,
      el('div', { class: 'stage-box' }, this.#stage.root, this.#alone, over ?? null),
      this.#announcer.root,
      this.#bar.root,
      this.#people.root,
      this.#more.root,
      this.#devices.root,
    );
  }

  update() {
    const { session } = this.#client;
    this.#announcer.update(this.#client.state);
    if (!session) return;
    this.#stage.update(session);
    this.#bar.update(session);
    this.#people.update(session);
    this.#more.update(session);
    this.#banner.update();
    this.#devices.update();
    const covered = this.#over !== undefined && !this.#over.hidden;
    show(this.#alone, others(session).length === 0 && !covered);
  }

  onClosed() {
    this.#people.close();
    this.#more.close();
    this.#devices.close();
  }

  #end() {
    const { session } = this.#client;
    const all = session !== null && may(session, 'end_for_all') && session.role !== 'guest';
    return all ? this.#client.end() : this.#client.leave();
  }

  /** @param {PeoplePanel|MorePanel} panel */
  #only(panel) {
    if (panel === this.#people) this.#more.close();
    else this.#people.close();
    panel.toggle();
  }
}
