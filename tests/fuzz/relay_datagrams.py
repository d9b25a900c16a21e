"""What a fuzzer calls: bytes as a script of datagrams into a whole relay, by peers that have keys.

`python -m tests.fuzz` drives it with coverage as the guide, `test_relay_datagrams` with hypothesis.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import struct
from collections import deque
from contextlib import closing
from enum import IntEnum

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from actors.relay import MediaRights, OfferLayout, PublishSource, Relay, RelayConfig, TransportState
from actors.relay.network.dtls import Dtls
from actors.relay.network.identity import Identity
from actors.relay.network.port import Endpoint, Port, Socket
from actors.relay.network.pylibsrtp_private import PROFILES, Buffer, Srtp
from benchmarks.media.description import Credentials, Dialect, Section, offer
from tests.relay.recording import RecordingListener
from tests.relay.track import Track, Unusual

MOST_STEPS = 40
"""Of one script: at most so many datagrams, or moments."""
MOST_SCRIPTS = 32
"""In one world."""
_CONFIG = RelayConfig(bind=(), advertise=("192.0.2.1",), ports=range(1))
_RIGHTS = MediaRights(send_audio=True, send_video=True, send_screen=True)
_SOURCES = (PublishSource.MICROPHONE, PublishSource.CAMERA, PublishSource.SCREEN)
_PROFILE = b"SRTP_AEAD_AES_128_GCM"
_DIALECTS = {
    "ada": Dialect(red=63),
    "ben": Dialect(vp8_rtx=None, h264_rtx=None, opus_feedback=("transport-cc", "nack")),
}
_STRANGER: Endpoint = ("198.51.100.9", 9)


class Step(IntEnum):
    """What the low three bits of a step's first byte say; the high two say whose it is."""

    RAW = 0
    """The bytes as they are, from a validated address."""
    STRANGE = 1
    """The same, from an address that nobody has proved."""
    RTP = 2
    """A packet of one of the peer's tracks, otherwise than it should be, with valid keys."""
    RTCP = 3
    """A compound as it is, with valid keys."""
    FEEDBACK = 4
    """One packet of a compound that names a stream there is."""
    CHECK = 5
    """A check with the right proof and these attributes."""
    TIME = 6
    """So many fiftieths of a second pass, and the relay's pulse beats."""
    MEDIA = 7
    """A packet of each of the peer's tracks as it should be, key frames where the bytes say so."""


class Wire(Socket):
    """A socket that nobody reads: the script says what comes, and what leaves is noted."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0, 1 << 12, batched=False)
        self.waiting: deque[tuple[bytes, Endpoint]] = deque()
        self.sent: dict[Endpoint, list[bytes]] = {}

    def receive_into(self, buffer: Buffer) -> tuple[int, Endpoint] | None:
        if not self.waiting:
            return None
        data, endpoint = self.waiting.popleft()
        buffer.view[: len(data)] = data
        return len(data), endpoint

    def send(self, data: bytes | memoryview, endpoint: Endpoint) -> bool:
        self.sent.setdefault(endpoint, []).append(bytes(data))
        return True


class _Strict(logging.Handler):
    """What a relay contains and logs is a mistake here."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            raise record.exc_info[1]


_identity = Identity()
logging.getLogger("actors.relay").addHandler(_Strict())


class Peer:
    """Somebody with keys, or without if they have come no further than their address."""

    def __init__(self, world: World, number: int, name: str, *, keyed: bool = True) -> None:
        self.world = world
        self.name = name
        self.endpoint: Endpoint = (f"192.0.2.{10 + number}", 5000)
        self.dialect = _DIALECTS.get(name, Dialect())
        self.tracks: list[Track] = []
        self.counter = 0
        seats = [(f"a{index}", f"v{index}") for index in range(4)]
        own = Credentials(name + "name", name * 16, _identity.fingerprint)
        sections = [self._publish(str(mid), source) for mid, source in enumerate(_SOURCES)]
        for audio, video in seats:
            sections += [Section(audio, audio=True), Section(video, audio=False)]
        sections.append(Section("screen", audio=False))
        layout = OfferLayout(
            {str(mid): source for mid, source in enumerate(_SOURCES)}, tuple(seats), ("screen",)
        )
        sdp = offer(own, sections, self.dialect)
        world.relay.answer(name, name, sdp, layout, _RIGHTS)
        self.transport = world.relay.transports[name]
        self._session: Session | None = None
        self.check(b"\x00\x25\x00\x00")
        (address,) = self.transport.ice.addresses
        self.transport.ice.confirm(address)
        if keyed:
            self._key()

    def _publish(self, mid: str, source: PublishSource) -> Section:
        rids = ("q", "h") if source is PublishSource.CAMERA and self.name == "ada" else ()
        tracks = [
            Track(
                ssrc=1000 * (1 + len(self.world.peers)) + 10 * int(mid) + index,
                mid=mid,
                source=source,
                dialect=self.dialect,
                rid=rid,
            )
            for index, rid in enumerate(rids or ("",))
        ]
        self.tracks += tracks
        pairs = tuple((track.ssrc, track.rtx_ssrc) for track in tracks)
        return Section(mid, source is PublishSource.MICROPHONE, True, pairs, rids)

    def _key(self) -> None:
        number, key, salt = PROFILES[_PROFILE]
        theirs, ours = (bytes([place]) * (key + salt) for place in (1, 2))
        self.transport.intake.keyed(Srtp(_PROFILE, theirs, inbound=True))
        self.transport.outlet.keyed(Srtp(_PROFILE, ours, inbound=False))
        policy = Policy(theirs, Policy.SSRC_ANY_OUTBOUND, srtp_profile=number)
        policy.allow_repeat_tx = True
        self._session = Session(policy)
        self.transport.advance(TransportState.CONNECTED, self.world.moment)

    # -- what it sends -------------------------------------------------------------------------

    def send(self, data: bytes, endpoint: Endpoint | None = None) -> None:
        self.world.wire.waiting.append((data[:2000], endpoint or self.endpoint))
        self.world.wake()

    def check(self, attributes: bytes) -> None:
        """Send a Binding request with these attributes behind its name and a right proof."""
        credentials = self.transport.ice.credentials
        name = f"{credentials.ufrag}:{self.name}name".encode()
        body = struct.pack("!HH", 6, len(name)) + name + bytes(-len(name) % 4) + attributes
        body += bytes(-len(body) % 4)
        head = struct.pack("!HHI", 1, len(body) + 24, 0x2112A442) + bytes(12)
        proof = hmac.digest(credentials.password.encode(), head + body, hashlib.sha1)
        self.send(head + body + b"\x00\x08\x00\x14" + proof)

    def rtp(self, packet: bytes) -> None:
        if self._session is not None:
            try:
                protected = self._session.protect(packet)
            except (SrtpError, ValueError):
                return
            self.send(protected)

    def rtcp(self, compound: bytes) -> None:
        if self._session is not None:
            try:
                protected = self._session.protect_rtcp(compound)
            except (SrtpError, ValueError):
                return
            self.send(protected)

    def media(self, *, key: bool) -> None:
        """Send of each track what it should be."""
        for track in self.tracks:
            payload = b"\x78voice"
            if not track.audio:
                track.begin_picture()
                payload = track.vp8_payload(bytes(20), key=key, first=True)
            self._packet(track, payload, {"marker": True, "level": 30})
            track.step(960 if track.audio else 3000, len(payload))

    def otherwise(self, body: bytes) -> None:
        """Send a packet that five bytes say the faults of; the rest is its payload."""
        which, faults, number, place, change = body[:5].ljust(5, b"\0")
        track = self.tracks[which % len(self.tracks)]
        unusual: Unusual = {"marker": bool(faults & 1), "level": change}
        if faults & 2:
            unusual["sequence"] = track.sequence + (number - 128) * (1 + (faults >> 4)) & 0xFFFF
        if faults & 4:
            unusual["payload_type"] = (
                self.dialect.red if track.audio else track.rtx_payload_type
            ) or number & 0x7F
            if not track.audio:
                unusual["ssrc"] = track.rtx_ssrc
        if faults & 8:
            track.timestamp = track.timestamp + (number - 128 << (faults >> 4)) & 0xFFFFFFFF
        changes = {place: change} if which & 0x40 else {}
        self._packet(track, body[5:], unusual, changes)
        track.step(960, len(body))

    def _packet(
        self,
        track: Track,
        payload: bytes,
        unusual: Unusual,
        changes: dict[int, int] | None = None,
    ) -> None:
        self.counter = self.counter + 1 & 0xFFFF
        packet = bytearray(track.packet(payload, self.counter, unusual))
        for place, change in (changes or {}).items():
            packet[place % len(packet)] ^= change
        self.rtp(bytes(packet))

    def feedback(self, body: bytes) -> None:
        """Send one packet: its kind and form, the stream that it names, and what it says of it."""
        kind, form, which = body[:3].ljust(3, b"\0")
        slots = [slot.ssrc for slot in self.transport.all_slots()]
        streams = slots + [track.ssrc for track in self.tracks]
        rest = body[3:] + bytes(-len(body[3:]) % 4)
        place = which % len(streams)
        stream = streams[place]
        if (kind % 8, form & 0x1F) == (5, 1) and place < len(slots) and rest:
            # What is asked for again counts back from the newest.
            newest = self.transport.all_slots()[place].numbering.next_sequence
            back = int.from_bytes(rest[:2], "big")
            rest = (newest - back & 0xFFFF).to_bytes(2, "big") + rest[2:]
        # A report names first who makes it: of a sender's it is their own stream.
        names = struct.pack("!II", self.tracks[which % len(self.tracks)].ssrc, stream)
        size = (len(names) + len(rest)) // 4
        head = struct.pack("!BBH", 0x80 | form & 0x3F, 200 + kind % 8, size)
        self.rtcp(head + names + rest)


class World:
    """A relay with three who do what the script says, and two who only talk. To be closed."""

    def __init__(self) -> None:
        self.moment = 1000.0
        self.wire = Wire()
        self.relay = Relay(_CONFIG, RecordingListener(), clock=lambda: self.moment)
        self.relay._port = Port((), range(1), 0)
        self.relay._identity = _identity
        self.peers: list[Peer] = []
        for number, name in enumerate(("ada", "ben", "gus", "cy", "dee")):
            self.peers.append(Peer(self, number, name, keyed=name != "gus"))
        self.pass_time(0.02)

    def close(self) -> None:
        self.wire.close()

    def wake(self) -> None:
        self.relay._reception.wake(self.wire)

    def pass_time(self, seconds: float) -> None:
        self.moment += seconds
        self.relay._pulse._tick()

    def play(self, script: bytes) -> None:
        """Do what a script says: a byte for the step, one for the size of its bytes, its bytes."""
        position = steps = 0
        while position + 2 <= len(script) and steps < MOST_STEPS:
            first, size = script[position], script[position + 1]
            body = script[position + 2 : position + 2 + size]
            position += 2 + size
            steps += 1
            peer = self.peers[(first >> 6) % 3]
            match Step(first & 7):
                case Step.RAW:
                    peer.send(body)
                case Step.STRANGE:
                    peer.send(body, _STRANGER)
                case Step.RTP:
                    peer.otherwise(body)
                case Step.RTCP:
                    peer.rtcp(body)
                case Step.FEEDBACK:
                    peer.feedback(body)
                case Step.CHECK:
                    peer.check(body)
                case Step.TIME:
                    self.pass_time((1 + size) / 500)
                case Step.MEDIA:
                    peer.media(key=bool(size))

    def look(self) -> None:
        """Whatever came, nobody has more than they may, and those who only talk hear each other."""
        relay = self.relay
        assert relay.mistakes == 0
        for transport in relay.transports.values():
            assert len(transport.ice.addresses) <= _CONFIG.max_addresses
            assert len(transport.intake.layers) <= 4
            assert len(transport.intake.repairs) <= 4
        *_, cy, dee = self.peers
        for peer in self.peers:
            peer.check(b"\x00\x25\x00\x00")
        self.pass_time(0.05)
        before = self.media_to(cy)
        for _ in range(3):
            self.pass_time(0.02)
            dee.media(key=True)
        assert self.media_to(cy) > before, "they hear each other no more"

    @property
    def over(self) -> bool:
        """Whether somebody who had keys has ended their connection."""
        return any(peer.transport.closed for peer in self.peers if peer.name != "gus")

    def media_to(self, peer: Peer) -> int:
        """Return how many packets of media have left to somebody."""
        sent = self.wire.sent.get(peer.endpoint, ())
        return sum(127 < data[0] < 192 and not 192 <= data[1] <= 223 for data in sent)


class Repertoire:
    """Plays many scripts in one world, which costs more than a script does. To be closed."""

    def __init__(self) -> None:
        self._world: World | None = None
        self._played: list[bytes] = []

    def play(self, script: bytes) -> None:
        """Play one more; what goes wrong tells of all that were played in its world."""
        world = self._world
        if world is None or world.over or len(self._played) >= MOST_SCRIPTS:
            self.close()
            world = self._world = World()
        self._played.append(script)
        try:
            world.play(script)
            world.look()
        except Exception as error:
            error.add_note(f"In one world: {[each.hex() for each in self._played]}")
            raise

    def close(self) -> None:
        """End the present world, if there is one."""
        if self._world is not None:
            self._world.close()
        self._world = None
        self._played = []


def play(script: bytes) -> None:
    """Play one script in a world of its own; raises whatever goes wrong."""
    with closing(World()) as world:
        world.play(script)
        world.look()


def step(kind: Step, body: bytes, peer: int = 0) -> bytes:
    """Write one step of a script."""
    return bytes([peer << 6 | kind, len(body)]) + body


def _handshake() -> bytes:
    client = Dtls(_identity.context, {}, server=False)
    client.start()
    (hello,) = client.datagrams()
    return hello


def seeds() -> tuple[bytes, ...]:
    """Make one script for each thing that a peer does."""
    talk = step(Step.MEDIA, b"\0") + step(Step.MEDIA, b"\0", 1)
    later = step(Step.TIME, bytes(30))
    report = struct.pack("!IIIII", 0x20000001, 7, 8, 9, 10)
    arrivals = struct.pack("!HHIH", 1, 3, 5 << 8, 1 << 13 | 3) + bytes(3)
    return (
        talk + later + step(Step.MEDIA, b"") + later,
        talk + step(Step.RTP, bytes([1, 3, 133, 0, 0]) + b"\x90\x80\x11picture"),
        talk + step(Step.RTP, bytes([1, 4, 0, 0, 0]) + b"\0\1\x90\x80\x11repair"),
        talk + step(Step.RTP, bytes([0, 4, 0, 0, 0]) + b"\xef\0\0\x04old!new"),
        talk + step(Step.RTP, bytes([0x41, 8, 255, 0, 16]) + b"late"),
        talk + later + step(Step.FEEDBACK, bytes([1, 1, 1]) + report, 1),
        talk + later + step(Step.FEEDBACK, bytes([5, 1, 1]) + b"\0\1\0\0", 1) + later,
        talk + later + step(Step.FEEDBACK, bytes([5, 15, 1]) + arrivals, 1) + later,
        talk + later + step(Step.FEEDBACK, bytes([6, 1, 1]), 1) + later,
        talk + later + step(Step.FEEDBACK, bytes([6, 4, 1]) + bytes(8), 1),
        talk + step(Step.FEEDBACK, bytes([6, 15, 1]) + b"REMB\x01\x0b\xd0\x90\0\0\0\1", 1),
        talk + step(Step.FEEDBACK, bytes([0, 0, 1]) + bytes(20)) + later,
        talk + step(Step.RTCP, b"\x80\xc9\0\1\0\0\0\1\x81\xca\0\2\0\0\0\1\1\0\0\0"),
        step(Step.CHECK, b"\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x2a\x00\x08" + bytes(8)) + later,
        step(Step.RAW, _handshake(), 2) + later,
        step(Step.STRANGE, b"\x80\x60\0\1" + bytes(20)) + step(Step.RAW, b"\x00\x01\0\0"),
    )
