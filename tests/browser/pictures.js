/**
 * Moving pictures for the widget in this page, as if others sent them: a person before a bright or a
 * dark room, lying or upright as phones send them, for every seat, and a document for the screen.
 *
 * `own` is asked for before the widget opens its camera, `seats` after it has its peer connection.
 */
window.pictures = (() => {
  const SHAPES = { wide: [640, 360], tall: [360, 640] };
  const ROOMS = {
    bright: ['#fdfdfb', '#dfe6ea', '#ffffff'],
    dark: ['#15171c', '#07080a', '#2a2f3a'],
    warm: ['#c9a27e', '#8a6a4d', '#e8d3b5'],
    green: ['#7f9a86', '#4e6656', '#a9c0ae'],
  };
  const WEAR = ['#27406b', '#7c2f3e', '#2f5d50', '#5a4a78', '#e9e6df', '#3a3a3d', '#a8703a', '#1f6f7a'];
  const SKIN = ['#f0c8a6', '#c68c62', '#8a5a3b', '#e2b08c'];
  const HAIR = ['#2b1d14', '#0f0f12', '#7a4a22', '#b9b4ab'];

  const ellipse = (pen, colour, x, y, rx, ry) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
    pen.fill();
  };

  const person = (pen, width, height, { room, number }, time) => {
    const [wall, floor, lamp] = ROOMS[room];
    const ground = pen.createLinearGradient(0, 0, width, height);
    ground.addColorStop(0, wall);
    ground.addColorStop(1, floor);
    pen.fillStyle = ground;
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = lamp;
    pen.fillRect(width * 0.06, height * 0.08, width * 0.2, height * 0.3);
    pen.fillRect(width * 0.78, height * 0.14, width * 0.16, height * 0.5);
    const size = Math.min(width, height) * 0.21;
    const x = width / 2 + Math.sin(time / 700 + number) * size * 0.08;
    const y = height * 0.42;
    ellipse(pen, WEAR[number % WEAR.length], x, y + size * 3.3, size * 2.1, size * 2);
    pen.fillRect(x - size * 2.1, y + size * 3.3, size * 4.2, height);
    pen.fillStyle = SKIN[number % SKIN.length];
    pen.fillRect(x - size * 0.36, y + size * 0.6, size * 0.72, size);
    ellipse(pen, HAIR[number % HAIR.length], x, y - size * 0.25, size * 1.02, size * 1.2);
    ellipse(pen, SKIN[number % SKIN.length], x, y, size * 0.86, size * 1.08);
    ellipse(pen, '#20180f', x - size * 0.32, y - size * 0.1, size * 0.09, size * 0.09);
    ellipse(pen, '#20180f', x + size * 0.32, y - size * 0.1, size * 0.09, size * 0.09);
    ellipse(pen, '#8a3b3b', x, y + size * 0.5, size * 0.28, size * (0.06 + 0.05 * Math.sin(time / 150)));
  };

  const paper = (pen, width, height, _look, time) => {
    pen.fillStyle = '#ffffff';
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = '#1d2b3a';
    pen.fillRect(0, 0, width, height * 0.09);
    pen.font = `600 ${height * 0.055}px sans-serif`;
    pen.fillText('Order 104711', width * 0.04, height * 0.2);
    pen.fillStyle = '#5a6773';
    for (let row = 0; row < 9; row += 1) {
      pen.fillRect(width * 0.04, height * (0.28 + row * 0.07), width * (0.3 + ((row * 37) % 20) / 100), 6);
      pen.fillRect(width * 0.6, height * (0.28 + row * 0.07), width * 0.34, 6);
    }
    pen.strokeStyle = '#c42b37';
    pen.lineWidth = 4;
    pen.strokeRect(2, 2, width - 4, height - 4);
    ellipse(pen, '#0b6b6b', width * (0.5 + 0.3 * Math.sin(time / 900)), height * 0.9, 8, 8);
  };

  const widget = () =>
    document.querySelector('switchboard-agent, switchboard-engagement, switchboard-guest');

  /** A track with this picture, drawn for as long as the widget stands in the page. */
  const track = (draw, [width, height], look) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const pen = canvas.getContext('2d');
    const paint = () => draw(pen, width, height, look, performance.now());
    const here = widget();
    const timer = setInterval(() => (here.isConnected ? paint() : clearInterval(timer)), 200);
    paint();
    return canvas.captureStream(5).getVideoTracks()[0];
  };

  const put = (stream, picture) => {
    stream.getTracks().forEach((old) => stream.removeTrack(old));
    stream.addTrack(picture);
  };

  return {
    own(look) {
      const { mediaDevices } = navigator;
      mediaDevices.getUserMedia = async (wish) => {
        delete mediaDevices.getUserMedia;
        const { video, ...sound } = wish;
        const stream = await mediaDevices.getUserMedia(sound);
        if (video) stream.addTrack(track(person, SHAPES[look.shape], look));
        return stream;
      };
    },
    seats(looks, screen) {
      const { seats, screens } = widget().client.peer;
      looks.forEach((look, at) => put(seats[at].video, track(person, SHAPES[look.shape], look)));
      if (screen) put(screens[0].video, track(paper, [1280, 720]));
    },
  };
})();
