import { windowsOfOurs } from '../../../widgets/hosts/windows-of-ours.js';
import { same } from './check.js';

/** A frame of this page; a sandboxed one is somebody else's. */
function frame(sandbox = null) {
  const made = document.createElement('iframe');
  if (sandbox !== null) made.setAttribute('sandbox', sandbox);
  document.body.append(made);
  return made.contentWindow;
}

export const tests = {
  'frames and what they opened are seen, but nothing of others'() {
    const [one, other, strange] = [frame(), frame(), frame('allow-scripts')];
    const opened = frame();
    one.ownWindow = opened;
    same(windowsOfOurs().map((each) => [one, other, opened].indexOf(each)), [0, 2, 1, 2]);
    same(windowsOfOurs().includes(strange), false);
    for (const each of [...document.querySelectorAll('iframe')]) each.remove();
  },
  'a frame is seen whose own window has gone to another origin'() {
    const [one, strange] = [frame(), frame('allow-scripts')];
    one.ownWindow = strange;
    same(windowsOfOurs().map((each) => each === one), [true]);
    for (const each of [...document.querySelectorAll('iframe')]) each.remove();
  },
};
