import { Peer } from '../../../widgets/media/peer.js';
import { same, until } from './check.js';

const LIMITS = { seats: 1, screens: 1, ice_servers: [], relay_only: false };

/** A sender that, as Chromium's, takes only what was read since its last change was done. */
function sender() {
  let read = false;
  const active = { low: true, high: true };
  return {
    active,
    getParameters() {
      read = true;
      return { encodings: Object.entries(active).map(([rid, on]) => ({ rid, active: on })) };
    },
    async setParameters({ encodings }) {
      await Promise.resolve();
      if (!read) throw new DOMException('getParameters() has never been called', 'InvalidStateError');
      read = false;
      for (const each of encodings) active[each.rid] = each.active;
    },
  };
}

export const tests = {
  async 'of changes of layers that come together the last one holds'() {
    const peer = new Peer(LIMITS, 1, () => undefined);
    const camera = sender();
    peer.sections.send.camera = { sender: camera };
    peer.setLayers('camera', ['low']);
    peer.setLayers('camera', ['low', 'high']);
    peer.setLayers('camera', ['high']);
    await until(() => !camera.active.low);
    same(camera.active, { low: false, high: true });
    peer.close();
  },
  async 'a change of layers that fails keeps none back that comes later'() {
    const peer = new Peer(LIMITS, 1, () => undefined);
    const camera = sender();
    peer.sections.send.camera = { sender: camera };
    const { setParameters } = camera;
    camera.setParameters = () => Promise.reject(new DOMException('Not now.', 'InvalidStateError'));
    peer.setLayers('camera', ['low']);
    peer.setLayers('microphone', ['low']);
    await Promise.resolve();
    await Promise.resolve();
    camera.setParameters = setParameters;
    peer.setLayers('camera', ['high']);
    await until(() => camera.active.high && !camera.active.low);
    peer.close();
  },
};
