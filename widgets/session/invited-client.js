import { Refusal } from '../hosts/gateway.js';
import { SessionClient } from './client.js';
import { keepable } from './select.js';

/** The part of somebody who may be rung. */
export class InvitedClient extends SessionClient {
  /**
   * Take part. The offer travels right behind the answer to the invitation, before any device is
   * open: the tracks join when they are ready.
   * @param {Mode} mode
   */
  async accept(mode) {
    const { media, mediaLink, session } = this;
    if (!session?.invitation) throw new Refusal('no_invitation', 'Nobody is inviting.', false);
    if (mode === 'voice') void media.turn('camera', false);
    void media.open(mode === 'video');
    const { invitation_id } = session.invitation;
    const accepted = this.ask({ type: 'invitation.accept', invitation_id, mode });
    mediaLink.negotiate(session);
    try {
      await accepted;
    } catch (error) {
      // It took effect, though no answer came.
      if (keepable(this.session)) return;
      mediaLink.close();
      media.stop();
      throw error;
    }
  }
}
