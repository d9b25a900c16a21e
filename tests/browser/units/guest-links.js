import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { CopyLine } from '../../../widgets/views/copy-line.js';
import { GuestLinks } from '../../../widgets/views/guest-links.js';
import { same, settled } from './check.js';

const LINK = Object.freeze({ guest_invitation_id: 'g1', name: 'Noa', uses_left: 1, until: 1_090_000 });

export const tests = {
  async 'the time that an open link has left runs'() {
    await loadLanguage(['en']);
    const { now } = Date;
    let time = 1_000_000;
    Date.now = () => time;
    try {
      const links = new GuestLinks({}, () => {}, null);
      const said = () => {
        links.update({ guest_invitations: [LINK] });
        return links.root.querySelector('.person-words').textContent;
      };
      same(said(), 'Noa · 1:30');
      time += 30_000;
      same(said(), 'Noa · 1:00');
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
