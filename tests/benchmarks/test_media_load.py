"""What the media load sends and asks for, on a clock of its own: what design says of it."""

from __future__ import annotations

import itertools
import socket
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.wire import rtcp
from actors.relay.wire.rtp import HEADER, TRANSPORT_CC_URI, body_of
from benchmarks.command import parser
from benchmarks.media.association import Certificate
from benchmarks.media.beside import PROFILE
from benchmarks.media.description import LOAD
from benchmarks.media.party import Media
from benchmarks.media.peer import Peer
from benchmarks.media.pump import Pump
from benchmarks.media.source import MOST_PAYLOAD, Camera

SECONDS = 9.0
LOST_AT = 7.5
"""When the subscriber says that it has lost the picture."""
TICK = 1e-6
LATE = 0.01
"""The pump looks every 5 ms at what is due apart from frames, or at the next turn after that."""


class Clock:
    """Time as the pump and its sinks take it: each look at it takes a microsecond."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        self.now += TICK
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Plain:
    """SRTP that encrypts nothing."""

    def protect(self, buffer: Buffer, size: int) -> int:
        return size

    unprotect = protect_rtcp = unprotect_rtcp = protect


class End(Peer):
    """One end of a line without a server; notes what it sends, and when."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Certificate(PROFILE))
        self.outbound = self.inbound = cast(Srtp, Plain())
        self.sent: list[tuple[float, bytes]] = []
        self.checks: list[float] = []
        self._clock = clock
        line = self.socket
        # The pump takes nothing else of a socket.
        noted = SimpleNamespace(send=self._note, fileno=line.fileno, close=line.close)
        self.line, self.socket = line, cast(socket.socket, noted)

    def _note(self, data: bytes | memoryview) -> int:
        self.sent.append((self._clock.now, bytes(data)))
        return self.line.send(data)

    def send_check(self, *, nominate: bool | None = None) -> None:
        self.checks.append(self._clock.now)


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet, `at` seconds after the first."""

    at: float
    ssrc: int
    sequence: int
    payload: bytes
    marker: bool

    @property
    def begins_key_frame(self) -> bool:
        """By its VP8 payload descriptor and the frame's first bit (RFC 7741 §4.2 and §4.3)."""
        return self.payload[0] & 0x10 != 0 and self.payload[5] & 1 == 0


@dataclass(slots=True)
class Traffic:
    """What went over the line in `SECONDS` of the clock."""

    sound: list[Packet] = field(default_factory=list)
    camera: list[Packet] = field(default_factory=list)
    told: list[tuple[float, rtcp.Part]] = field(default_factory=list)
    """RTCP of the publisher."""
    asked: list[tuple[float, rtcp.Part]] = field(default_factory=list)
    """RTCP of the subscriber."""
    checks: list[list[float]] = field(default_factory=list)
    """Of each end."""

    def frames(self) -> list[list[Packet]]:
        """The camera's packets, frame by frame."""
        found: list[list[Packet]] = [[]]
        for packet in self.camera:
            found[-1].append(packet)
            if packet.marker:
                found.append([])
        return [frame for frame in found if frame]

    def key_frames(self) -> list[float]:
        """When each began."""
        return [packet.at for packet in self.camera if packet.begins_key_frame]


def moments(
    parts: list[tuple[float, rtcp.Part]], kind: int, form: int | None = None
) -> list[float]:
    """When such RTCP was sent; of several at once the first."""
    found: list[float] = []
    for at, part in parts:
        if part.kind == kind and form in (None, part.form) and (not found or at > found[-1] + 1e-3):
            found.append(at)
    return found


def pauses(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.fixture(scope="module")
def traffic() -> Iterator[Traffic]:
    """A publisher and a subscriber, the pump in this thread, nine seconds in a fraction of one."""
    clock = Clock()
    media = Media(Certificate(PROFILE), Camera())
    publisher, subscriber = End(clock), End(clock)
    try:
        for one, other in ((publisher, subscriber), (subscriber, publisher)):
            one.line.connect(("127.0.0.1", other.line.getsockname()[1]))
            media.peers.append(one)
        sound, camera = media.tracks_of(publisher)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pump, "_run", lambda pump: None)
            for module in ("pump", "sink"):
                patch.setattr(f"benchmarks.media.{module}.time", clock)
            for end in (publisher, subscriber):
                media.sink(end, set(), LOAD.extensions[TRANSPORT_CC_URI])
            pump = media.pump()
            begun = clock.now
            lost = False

            def sleep(seconds: float) -> None:
                nonlocal lost
                clock.now += seconds
                if not lost and clock.now >= begun + LOST_AT:
                    lost = True
                    subscriber.line.send(rtcp.picture_loss(1, camera.ssrc))
                if clock.now >= begun + SECONDS:
                    pump._sending.clear()

            patch.setattr(clock, "sleep", sleep)
            pump.begin()
            pump._send_while_wanted()
            pump.close()
        yield read(publisher, subscriber, sound.ssrc)
    finally:
        media.close()


def read(publisher: End, subscriber: End, sound: int) -> Traffic:
    """Sort what both have sent; time begins with the first packet."""
    begun = publisher.sent[0][0]
    found = Traffic(checks=[publisher.checks, subscriber.checks])
    for end, reports in ((publisher, found.told), (subscriber, found.asked)):
        for at, data in end.sent:
            if 192 <= data[1] <= 223:
                reports += [(at - begun, part) for part in rtcp.parts_of(memoryview(data))]
                continue
            body = body_of(memoryview(data), len(data))
            assert body is not None
            _, second, sequence, _, ssrc = HEADER.unpack_from(data)
            payload = data[body.payload : body.payload_end]
            packet = Packet(at - begun, ssrc, sequence, payload, marker=second >> 7 == 1)
            (found.sound if ssrc == sound else found.camera).append(packet)
    return found


def test_sound_comes_fifty_times_a_second_in_sixty_to_a_hundred_and_twenty_bytes(
    traffic: Traffic,
) -> None:
    assert len(traffic.sound) == pytest.approx(50 * SECONDS, abs=2)
    assert statistics.median(pauses([p.at for p in traffic.sound])) == pytest.approx(0.02, rel=0.01)
    sizes = [len(packet.payload) for packet in traffic.sound]
    assert 60 <= min(sizes) < 65
    assert 115 < max(sizes) <= 120


def test_the_camera_sends_thirty_frames_and_eight_hundred_kilobits_a_second(
    traffic: Traffic,
) -> None:
    assert Camera(parser().parse_args(["media"]).bitrate) == Camera(800_000, 30)
    assert len(traffic.frames()) == pytest.approx(30 * SECONDS, abs=2)
    first, _, third, *_ = traffic.key_frames()
    octets = sum(len(packet.payload) for packet in traffic.camera if first <= packet.at < third)
    assert 8 * octets / (third - first) == pytest.approx(800_000, rel=0.03)


def test_a_key_frame_comes_every_three_seconds_and_when_a_picture_is_lost(
    traffic: Traffic,
) -> None:
    first, second, third, asked = traffic.key_frames()
    frame = 1 / 30 + LATE
    assert [second - first, third - second] == [pytest.approx(3.0, abs=frame)] * 2
    assert LOST_AT - 0.05 <= asked <= LOST_AT + frame
    sizes: dict[bool, list[int]] = {True: [], False: []}
    for each in traffic.frames():
        sizes[each[0].begins_key_frame].append(sum(len(packet.payload) for packet in each))
    assert min(sizes[True]) > 4 * max(sizes[False])


def test_a_frames_packets_are_nearly_equal_and_twenty_to_fifty_microseconds_apart(
    traffic: Traffic,
) -> None:
    gaps: list[float] = []
    for frame in traffic.frames():
        sizes = [len(packet.payload) for packet in frame]
        assert sizes == sorted(sizes)
        assert sizes[-1] - sizes[0] <= 1
        assert sizes[-1] <= MOST_PAYLOAD
        assert [p.sequence - frame[0].sequence & 0xFFFF for p in frame] == list(range(len(frame)))
        gaps += pauses([packet.at for packet in frame])
    # To each the clock adds the looks at it.
    assert 20e-6 <= min(gaps) < 25e-6
    assert 45e-6 < max(gaps) <= 50e-6 + 4 * TICK


def test_a_subscriber_reports_each_second_and_every_tenth_of_one_and_asks_for_one_in_a_hundred(
    traffic: Traffic,
) -> None:
    reports = pauses(moments(traffic.asked, rtcp.RR))
    assert len(reports) >= SECONDS - 2
    assert reports == [pytest.approx(1.0, abs=LATE)] * len(reports)
    feedback = pauses(moments(traffic.asked, rtcp.RTPFB, rtcp.TRANSPORT_CC))
    assert len(feedback) >= 10 * SECONDS / (1 + 10 * LATE) - 2
    assert feedback == [pytest.approx(0.1, abs=LATE)] * len(feedback)
    nacks = [part for _, part in traffic.asked if (part.kind, part.form) == (rtcp.RTPFB, rtcp.NACK)]
    asked_for = sum(len(list(rtcp.nacked(part.body))) for part in nacks)
    assert 0.005 < asked_for / len(traffic.camera) < 0.02


def test_a_publisher_reports_each_second(traffic: Traffic) -> None:
    reports = pauses(moments(traffic.told, rtcp.SR))
    assert len(reports) >= SECONDS - 2
    assert reports == [pytest.approx(1.0, abs=LATE)] * len(reports)


def test_whoever_sends_or_only_receives_keeps_consent(traffic: Traffic) -> None:
    for checks in traffic.checks:
        assert len(checks) >= 3
        assert max(pauses(checks)) < 5.0, "RFC 7675"
    first = sorted(checks[0] for checks in traffic.checks)
    assert pauses(first) == [pytest.approx(1.25, abs=LATE)], "not all at once"
