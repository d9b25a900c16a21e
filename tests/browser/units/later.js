import { loadLanguage } from '../../../widgets/catalogues/words.js';
import { Later } from '../../../widgets/views/later.js';
import { same } from './check.js';

/** A part that comes when told to, and what was done with it. */
async function part() {
  await loadLanguage(['en']);
  const done = [];
  let come = () => {};
  const loaded = new Promise((resolve) => (come = resolve));
  const later = new Later(() => loaded, () => ({ root: document.createElement('div') }), () => done.push('shown'));
  const used = later.use(() => done.push('used'));
  return { later, used, done, come };
}

export const tests = {
  async 'what is wanted happens as soon as the part is there'() {
    const { used, done, come } = await part();
    same(done, []);
    come();
    await used;
    same(done, ['shown', 'used']);
  },

  async 'nothing opens on a screen that is gone'() {
    const { later, used, done, come } = await part();
    later.close();
    come();
    await used;
    same(done, []);
  },
};
