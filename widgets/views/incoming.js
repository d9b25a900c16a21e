import { say } from '../catalogues/words.js';
import { canTalk, troubleBeforehand, videoTrouble } from '../media/trouble.js';
import { Avatar } from './avatar.js';
import { attend, wordButton } from './buttons.js';
import { el, setText, show } from './dom.js';
import { Later } from './later.js';

/** It rings: who invites, and three answers. No device is opened before one of them, or the check, is pressed. */
export class Incoming {
  #client;
  #avatar = new Avatar();
  #name = el('h1');
  #wish = el('p');
  #trouble = el('p', { class: 'fine trouble', role: 'status' });
  #monitored = el('p', { class: 'fine', text: say('monitored') });
  #reason = el('input', { type: 'text', maxlength: '200', 'aria-label': say('decline_reason') });
  #error = el('p', { class: 'fine trouble', role: 'alert' });
  #video;
  #voice;
  #decline;
  #own;
  #check;
  #devices;
  #reported = false;
  #canOpen;
  root;

  /** @param {InvitedClient} client @param {OpenWindow} ownWindow */
  constructor(client, ownWindow) {
    this.#client = client;
    /** @param {Mode} mode */
    const accept = (mode) => void this.#answer(client.accept(mode));
    const refuse = () => void this.#answer(this.#refuse());
    this.#video = wordButton('accept_video', () => accept('video'), 'go wide', 'camera');
    this.#voice = wordButton('accept_voice', () => accept('voice'), 'wide', 'phone');
    this.#decline = wordButton('decline', refuse, 'wide stop');
    this.#own = wordButton('own_window', () => ownWindow?.(), 'wide', 'window');
    const bring = () => import('./ringing-check.js');
    this.#devices = new Later(bring, (module) => new module.RingingCheck(client, accept, refuse), () => this.update());
    const look = () => void attend(this.#devices.use((panel) => panel.show()), this.#error);
    this.#check = wordButton('check_first', look, 'plain');
    this.#canOpen = ownWindow !== null;
    const ringing = el('div', { class: 'ringing-avatar' }, this.#avatar);
    const label = el('label', { class: 'field' }, this.#reason);
    const why = el('details', { class: 'fine' }, el('summary', { text: say('decline_reason') }), label);
    const unseen = el('p', { class: 'fine', text: say('unseen') });
    const answers = [this.#video, this.#voice, this.#own, this.#decline];
    this.root = el(
      'div',
      { class: 'message incoming' },
      el('div', { class: 'said' }, ringing, this.#name, this.#wish, this.#trouble),
      el('div', { class: 'actions' }, ...answers, why, this.#error, unseen, this.#monitored, this.#check),
      this.#devices,
    );
  }

  update() {
    const invitation = this.#client.session?.invitation;
    if (!invitation) return;
    const name = invitation.from_name || say('an_agent');
    this.#avatar.update(invitation.from_name || say('role_agent'), invitation.from_picture);
    setText(this.#name, name);
    const voice = invitation.mode === 'voice';
    setText(this.#wish, say(voice ? 'incoming_voice' : 'incoming_video'));
    this.#voice.set(say(voice ? 'accept' : 'accept_voice'));
    this.#voice.root.classList.toggle('go', voice);
    this.#check.set(say(voice ? 'check_voice' : 'check_first'));
    const trouble = voice ? troubleBeforehand() : videoTrouble();
    const able = canTalk(trouble);
    show(this.#video, able && !voice);
    show(this.#voice, able);
    setText(this.#trouble, trouble ? say(`trouble_${trouble}`) : '');
    show(this.#own, trouble === 'blocked_by_frame' && this.#canOpen);
    if (trouble && !this.#reported) {
      this.#reported = true;
      this.#client.tell({ type: 'invitation.trouble', trouble: trouble === 'blocked_by_frame' ? 'camera_blocked' : trouble });
    }
    show(this.#check, trouble === null);
    show(this.#monitored, invitation.monitoring === true);
    this.#devices.panel?.update();
  }

  onClosed() {
    this.#devices.close();
  }

  async #refuse() {
    const reason = this.#reason.value.trim();
    const invitation_id = this.#client.session?.invitation?.invitation_id;
    await this.#client.ask({ type: 'invitation.decline', invitation_id, ...(reason && { reason }) });
  }

  /** @param {Promise<unknown>} asked */
  #answer(asked) {
    return attend(asked, this.#error, this.#video.root, this.#voice.root, this.#decline.root);
  }
}
