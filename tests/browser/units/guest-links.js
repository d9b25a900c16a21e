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
      const links = new GuestLinks({}, () => {}, null, document.body);
      const said = () => {
        links.update({ guest_invitations: [LINK] });
        return links.root.querySelector('.person-words').textContent;
      };
      same(said(), 'Noa: 1:30');
      time += 30_000;
      same(said(), 'Noa: 1:00');
    } finally {
      Date.now = now;
    }
  },

  async 'a link that was made and is no longer open is not there to be copied'() {
    const asked = [];
    const client = { ask: async () => ({ guest_invitation_id: 'g1', url: 'https://video.example.com/join#0' }) };
    const panel = document.body.appendChild(document.createElement('section'));
    const links = new GuestLinks(client, (promise) => asked.push(promise), null, panel);
    const close = () => panel.dispatchEvent(new CustomEvent('panelclose'));
    panel.append(links.root);
    const update = (...open) => links.update({ guest_invitations: open });
    const seen = () => [links.root.querySelector('.made').hidden, links.root.querySelector('[role=status]').textContent];
    try {
      links.root.querySelector('form').requestSubmit();
      await asked[0];
      const ready = [false, 'The link works for one person, for one hour.'];
      // The list may come behind the answer.
      update();
      same(seen(), ready);
      update(LINK);
      close();
      same([seen(), document.activeElement.className], [ready, 'link']);
      update();
      same(seen(), [true, 'This link is no longer valid']);
      same(document.activeElement.closest('form')?.className, 'row');
      // Who opens the panel for something else does not read of it again.
      close();
      same(seen(), [true, '']);
    } finally {
      panel.remove();
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
