import { ring } from '../../../widgets/elements/ringing.js';
import { same } from './check.js';

export const tests = {
  async 'the title takes turns with the words while it rings and not a moment longer'() {
    const { setInterval: begin, clearInterval: end } = globalThis;
    const beats = new Map();
    globalThis.setInterval = (beat) => {
      beats.set(7, beat);
      return 7;
    };
    globalThis.clearInterval = (timer) => beats.delete(timer);
    const ended = new AbortController();
    try {
      const titles = [];
      const shown = [];
      const widget = { setTitle: (title) => titles.push(title) };
      const rung = ring(widget, 'Dana calls', 'Somebody calls', { framed: true, active: false, show: (...told) => shown.push(told) }, ended.signal);
      for (let beat = 0; beat < 3; beat += 1) beats.get(7)();
      same(titles, ['Dana calls', '', 'Dana calls', '']);
      same(shown, [['ring', 'Somebody calls']]);
      ended.abort();
      same(beats.size, 0);
      await rung;
    } finally {
      globalThis.setInterval = begin;
      globalThis.clearInterval = end;
    }
  },
};
