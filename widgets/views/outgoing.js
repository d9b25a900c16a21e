import { errorSentence, knows, say } from '../catalogues/words.js';
import { offerLink } from '../hosts/offer-link.js';
import { clock, invitationIsOpen } from '../session/select.js';
import { Avatar } from './avatar.js';
import { wordButton } from './buttons.js';
import { el, setText, show } from './dom.js';

/** What the consumer sees of the invitation at this moment, in words. */
export class Outgoing {
  #client;
  #avatar = new Avatar();
  #title = el('h2', { role: 'status' });
  #help = el('p');
  #until = el('p', { class: 'fine' });
  #cancel;
  #again;
  #offer;
  #host;
  #timer = 0;
  #awaited = false;
  root;

  /** @param {SessionClient} client @param {Attempt} attempt @param {AgentHost} host */
  constructor(client, attempt, host) {
    this.#client = client;
    this.#host = host;
    this.#offer = wordButton('offer_link', () => void this.#offerLink());
    this.#cancel = wordButton('cancel', () => attempt(client.ask({ type: 'invitation.cancel' })));
    this.#again = wordButton(
      'invite_again',
      () => attempt(client.ask({ type: 'invitation.send', mode: client.session?.mode ?? 'video' })),
      'primary',
    );
    const avatar = el('div', { class: 'ringing-avatar' }, this.#avatar);
    const actions = el('div', { class: 'actions' }, this.#again, this.#cancel, this.#offer);
    this.root = el('div', { class: 'outgoing' }, avatar, this.#title, this.#help, this.#until, actions);
  }

  update() {
    const { session } = this.#client;
    const invitation = session?.invitation;
    const here = session?.roster.some(({ role }) => role === 'consumer');
    const open = session !== null && invitationIsOpen(session);
    // An answer is told before who gave it comes; who went is missed where nobody is.
    if (open || here) this.#awaited = open;
    const missed = !this.#awaited && session?.roster.length === 1;
    show(this, Boolean(invitation) && !here && (missed || invitation?.state !== 'accepted'));
    if (!invitation || this.root.hidden) {
      clearInterval(this.#timer);
      this.#timer = 0;
      return;
    }
    const name = this.#host.visitorName;
    this.#avatar.update(name || say('role_consumer'), null);
    this.root.dataset.state = invitation.state;
    const { title, help, otherWay } = words(invitation, name || say('your_visitor'), open);
    setText(this.#title, title);
    setText(this.#help, help);
    show(this.#help, help !== '');
    show(this.#cancel, open);
    show(this.#again, !open);
    show(this.#until, open);
    show(this.#offer, this.#host.canWrite && (otherWay || (open && !invitation.surfaces.length)));
    this.#tick();
    if (!this.#timer) this.#timer = setInterval(() => this.#tick(), 1_000);
  }

  close() {
    clearInterval(this.#timer);
  }

  /** A way in for whom no surface reaches: a join link in the conversation. */
  async #offerLink() {
    try {
      const { url } = await this.#client.ask({ type: 'guest.invite', name: this.#host.visitorName || undefined });
      if (!(await offerLink(this.#host, say('offer_text'), url))) throw new Error('It was not taken.');
      this.#offer.set(say('offer_done'));
    } catch (error) {
      this.#offer.set(errorSentence(error));
    }
  }

  #tick() {
    const left = (this.#client.session?.invitationUntil ?? 0) - Date.now();
    setText(this.#until, say('ring_until', { time: clock(left) }));
  }
}

/** @param {InvitationView} invitation @param {string} name @param {boolean} open */
function words({ state, surfaces, visible, reason }, name, open) {
  // The consumer's own words, or the stable code of what stands in the way.
  const trouble = state !== 'declined' && knows(`ring_${reason}`) ? say(`ring_${reason}`, { name }) : '';
  if (trouble && (open || state === 'failed')) return { title: trouble, help: say('ring_other_way'), otherWay: true };
  if (!open) {
    const why = reason && state === 'declined' ? say('quoted', { a: reason }) : trouble;
    const ended = `${knows(`ring_${state}`) ? 'ring' : 'over'}_${state}`;
    return { title: say(state === 'accepted' ? 'went' : ended, { name }), help: why };
  }
  if (state === 'sent' || surfaces.length === 0) {
    return { title: say('ring_sent', { name }), help: say('ring_sent_help') };
  }
  if (!visible) return { title: say('ring_hidden'), help: say('ring_hidden_help') };
  return { title: say('ring_seen', { name }), help: '' };
}
