import { say } from '../catalogues/words.js';
import { post } from '../hosts/gateway.js';
import { attend, wordButton } from './buttons.js';
import { el } from './dom.js';
import { field, form } from './fields.js';
import { loadStyles } from './later.js';

// At hand with this module; what did not come is fetched again when there is something to rate.
void fetchStyles();

/** How the person found the session, if they like. @param {string} resume Who rates, sealed. */
export function ratingForm(resume) {
  void fetchStyles();
  let stars = 0;
  const said = el('p', { class: 'fine', role: 'status' });
  const comment = el('input', { type: 'text', maxlength: '500' });
  const send = wordButton('send', null, 'small');
  send.root.disabled = true;
  const choose = (/** @type {number} */ count) => {
    stars = count;
    send.root.disabled = false;
  };
  const choices = [1, 2, 3, 4, 5].map((count) => {
    const on = { change: () => choose(count) };
    const button = el('input', { type: 'radio', name: 'stars', value: count, 'aria-label': say('rate_stars', { count }), on });
    return el('label', {}, button, el('span', { 'aria-hidden': 'true' }));
  });
  const rate = async () => {
    await post('/v1/ratings', { resume, stars, comment: comment.value });
    root.replaceChildren(said);
    said.textContent = say('rate_thanks');
  };
  const root = form(
    'rating',
    () => attend(rate(), said, send.root),
    el('fieldset', {}, el('legend', { text: say('rate_title') }), ...choices),
    el('div', { class: 'row' }, field(say('rate_comment'), comment), send),
    said,
  );
  return root;
}

/** Without them the stars are plain buttons, and can be chosen all the same. */
function fetchStyles() {
  return loadStyles('rating').catch(() => {});
}
