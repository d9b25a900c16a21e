// A direct call between two browsers, as quick as one can be that shows nobody's addresses before
// the other has answered: camera open, offer made and handed over while it rings, candidates
// trickling. `?role=agent` calls, `?role=consumer` answers; the server relays between the two.
const query = new URLSearchParams(location.search);
const calling = query.get('role') === 'agent';
const address = `${location.origin.replace(/^http/, 'ws')}/signal/${query.get('room')}`;

const stream = await navigator.mediaDevices.getUserMedia({
  audio: true,
  video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
});
const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
for (const track of stream.getTracks()) connection.addTrack(track, stream);
const remote = document.querySelector('#remote');
connection.addEventListener('track', ({ streams: [from] }) => {
  remote.srcObject = from;
});

const socket = new WebSocket(address);
const say = (message) => socket.send(JSON.stringify(message));
await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
connection.addEventListener('icecandidate', ({ candidate }) => say({ candidate }));

socket.addEventListener('message', async ({ data }) => {
  const { ready, description, candidate } = JSON.parse(data);
  if (ready) {
    await connection.setLocalDescription();
    say({ description: connection.localDescription });
  } else if (description) {
    await connection.setRemoteDescription(description);
    if (!calling) document.querySelector('#accept').hidden = false;
  } else {
    await connection.addIceCandidate(candidate);
  }
});

document.querySelector('#accept').addEventListener('click', async () => {
  await connection.setLocalDescription();
  say({ description: connection.localDescription });
});
if (calling) globalThis.benchmark.ready = true;
else say({ ready: true });
