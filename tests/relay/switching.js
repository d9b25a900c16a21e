// What the switching test adds to call.html: a camera of one colour, and a watchful viewer.
import { SlotTurn } from '/widgets/media/slot-turn.js';

/** How late this page's timers came at most since it was asked last, in ms: it waited so long. */
let [late, last] = [0, performance.now()];
setInterval(() => {
  const now = performance.now();
  late = Math.max(late, now - last - 20);
  last = now;
}, 20);
window.lateness = () => {
  const found = late;
  late = 0;
  return found;
};

/** What is switched is small, so that the machine has room for it; as often as a camera's, though:
 *  with 15 pictures a second a browser keeps sound and picture less well together. */
const [WIDTH, HEIGHT] = [160, 90];

/** Replace the camera by a plane of one colour that moves a little, the microphone by a tone. */
window.impersonate = (colour, frequency) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext('2d');
  let step = 0;
  setInterval(() => {
    step += 1;
    context.fillStyle = colour;
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = 'white';
    context.fillRect((step * 4) % WIDTH, 0, 4, 20);
  }, 33);
  const audio = new AudioContext();
  const tone = new OscillatorNode(audio, { frequency });
  const sink = audio.createMediaStreamDestination();
  tone.connect(new GainNode(audio, { gain: 0.3 })).connect(sink);
  tone.start();
  navigator.mediaDevices.getUserMedia = async () =>
    new MediaStream([...canvas.captureStream(30).getTracks(), ...sink.stream.getTracks()]);
};

/** Watch the first seat: compare each frame's colour with whose name the widget's own rule shows. */
window.watch = (colours) => {
  const turn = new SlotTurn();
  const video = document.querySelector('video');
  const sample = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const seen = { wrong: [], frames: [], shown: [], hidden: 0, compared: 0 };
  const nearest = (picture) => {
    sample.drawImage(picture, picture.displayWidth / 2, picture.displayHeight / 2, 1, 1, 0, 0, 1, 1);
    const [red, green, blue] = sample.getImageData(0, 0, 1, 1).data;
    const far = ([r, g, b]) => Math.abs(r - red) + Math.abs(g - green) + Math.abs(b - blue);
    const [name, colour] = Object.entries(colours).sort((a, b) => far(a[1]) - far(b[1]))[0];
    return far(colour) < 120 ? name : null;
  };
  const onFrame = (_, { rtpTimestamp = null }) => {
    turn.onFrame(rtpTimestamp);
    // By now the element may show the frame after the one that this call is about: what is judged
    // has its colour and its time from one and the same frame.
    const picture = new VideoFrame(video);
    const { rtpTimestamp: timestamp } = picture.metadata();
    const name = nearest(picture);
    picture.close();
    if (name !== null) {
      seen.frames.push([timestamp, name]);
      if (!turn.picture) seen.hidden += 1;
      else if (timestamp === rtpTimestamp) {
        seen.compared += 1;
        if (turn.shown !== name) seen.wrong.push({ shown: turn.shown, name, timestamp });
      }
    }
    if (seen.shown.at(-1) !== turn.shown) seen.shown.push(turn.shown);
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
  setInterval(() => turn.tick(performance.now()), 100);
  window.assign = (seat) => turn.assign(seat, performance.now());
  window.seen = () => ({ ...seen, now: turn.picture ? turn.shown : null });
};

/** How far apart a seat's sound and picture are played, in ms, and what froze. */
window.sync = async (audioMid, videoMid) => {
  const found = {};
  for (const report of (await window.pc.getStats()).values()) {
    if (report.type === 'inbound-rtp') found[report.mid] = report;
  }
  const [audio, video] = [found[audioMid], found[videoMid]];
  const apart = audio?.estimatedPlayoutTimestamp && video?.estimatedPlayoutTimestamp
    ? video.estimatedPlayoutTimestamp - audio.estimatedPlayoutTimestamp : null;
  return { apart, freezes: video?.freezeCount ?? 0, frozen: video?.totalFreezesDuration ?? 0 };
};
