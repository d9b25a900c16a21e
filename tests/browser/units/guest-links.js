import { loadLanguage, loadMore } from '../../../widgets/catalogues/words.js';
import { CopyLine } from '../../../widgets/views/copy-line.js';
import { GuestLinks } from '../../../widgets/views/guest-links.js';
import { same, settled } from './check.js';

const LINK = Object.freeze({ guest_invitation_id: 'g1', name: 'Noa', uses_left: 1, expires_in_ms: 90_000 });

export const tests = {
  async 'the time that an open link has left runs'() {
    await loadLanguage(['en']);
    await loadMore();
    const { now } = Date;
    let time = 1_000_000;
    Date.now = () => time;
    try {
      const links = new GuestLinks({}, () => {}, null);
      const said = (link) => {
        links.update({ guest_invitations: [link] });
        return links.root.querySelector('.person-words').textContent;
      };
      same(said(LINK), 'Noa · 1:30');
      time += 30_000;
      same(said(LINK), 'Noa · 1:00');
      // Only news of it say anything new.
      same(said({ ...LINK, expires_in_ms: 80_000 }), 'Noa · 1:20');
    } finally {
      Date.now = now;
    }
  },

  async 'what could not be copied is not called copied'() {
    const { execCommand } = document;
    let taken = false;
    document.execCommand = () => taken;
    Object.defineProperty(navigator.clipboard, 'writeText', {
      configurable: true,
      value: () => Promise.reject(new DOMException('Refused.', 'NotAllowedError')),
    });
    try {
      const link = new CopyLine('Link');
      const press = async () => {
        link.button.click();
        await settled();
        return link.button.textContent;
      };
      same(await press(), 'Copy');
      taken = true;
      same(await press(), 'Copied');
    } finally {
      document.execCommand = execCommand;
      delete navigator.clipboard.writeText;
    }
  },
};
