"""The way of nearly every packet, written out in one piece, does what the plain one does.

`Slot.forward` has arithmetic of its own for the usual frame, and `Slot._forward_each` asks
`Numbering` and `Header`, which the properties of `test_numbering` hold. Whatever comes, both send
the same.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.relay.forwarding.numbering import TURNS, Numbering
from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.forwarding.slot import Slot
from actors.relay.listener import SeatKind
from actors.relay.network.departures import Departures
from actors.relay.network.mmsg import DATAGRAM_BYTES
from actors.relay.wire.rtp import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from actors.relay.wire.vp8 import Vp8

EXTENSIONS = {MID_URI: 4, TRANSPORT_CC_URI: 3, AUDIO_LEVEL_URI: 1}
PAYLOAD_TYPE = 96
DEPARTURES = Departures(batched=False)


class Wire:
    """What one slot sends, unprotected, and what its estimate hears of it."""

    def __init__(self, *, cuts: bool) -> None:
        self.packets: list[bytes] = []
        self.noted: list[tuple[int, int]] = []
        """Transport-wide number and bytes of each."""
        self.outlet = SimpleNamespace(
            ice=SimpleNamespace(selected=object()),
            handle=object(),
            departures=DEPARTURES,
            transport_sequence=0xFFFA,
            estimate=self,
            refused_sends=0,
            packets_sent=0,
            octets_sent=0,
        )
        self.cuts = cuts

    def leave(self, path: object, sizes: list[int]) -> None:
        for cell, size in enumerate(sizes):
            start = cell * DATAGRAM_BYTES
            self.packets.append(bytes(DEPARTURES.cells.view[start : start + size]))

    def sent(self, number: int, octets: int, now: float) -> None:
        self.noted.append((number, octets))

    def sent_together(self, last: int, sizes: list[int], now: float) -> None:
        first = last - len(sizes) + 1
        self.noted += [(first + place & 0xFFFF, size) for place, size in enumerate(sizes)]


class Beginning(NamedTuple):
    """Where the line and the source stand at the first packet."""

    sent: int
    """The slot's next sequence."""
    sequence: int
    timestamp: int
    stamp: int
    picture: int
    last_picture: int


def slot_on(wire: Wire, begin: Beginning, *, video: bool) -> Slot:
    transport: Any = SimpleNamespace(outlet=wire.outlet)
    slot = Slot(transport, SeatKind.SEAT, 0, "7", video=video, cname="c", now=0.0)
    slot.ssrc = 0x01020304
    slot.negotiated((), EXTENSIONS)
    slot._payload_type = PAYLOAD_TYPE
    slot.leave = wire.leave
    turns = TURNS if video else 1
    slot.numbering = numbering = Numbering(90_000, 0.0, begin.sent, begin.stamp, turns=turns)
    numbering.last_picture, numbering.last_level = begin.last_picture, 255
    numbering.switch(begin.sequence, begin.timestamp, begin.stamp, begin.picture, 250)
    return slot


def descriptor(picture: int, level: int, *, usual: bool) -> Vp8:
    """A VP8 descriptor as browsers write it, or with a picture id of seven bits."""
    if usual:
        return Vp8(False, False, 2, 15, picture & 0x7FFF, 4, level & 0xFF, 5)
    return Vp8(False, False, 2, 7, picture & 0x7F, 0, 0, 3)


class Step(NamedTuple):
    """One frame of the source."""

    packets: int
    missing: int
    """How many numbers lie before it; below zero it comes late."""
    usual: bool
    """Whether its descriptors are written as by browsers."""
    sizes: list[int]
    ticks: int
    """Until the next frame's time stamp, which may be earlier."""


steps = st.builds(
    Step,
    st.integers(1, 5),
    st.sampled_from([0] * 8 + [1, 2, -1, -3]),
    st.sampled_from([True] * 5 + [False]),
    st.lists(st.integers(8, 20), min_size=5, max_size=5),
    st.sampled_from([3000] * 5 + [2999, -6000]),
)
beginnings = st.builds(
    Beginning,
    st.integers(0, 0x2FFFF),
    st.integers(0x10000, 0x2FFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0x7FFF),
    st.integers(0, 0x7FFF),
)


def frames_of(begin: Beginning, source: list[Step], *, video: bool) -> list[Frame]:
    frames = []
    sequence, timestamp, picture = begin.sequence, begin.timestamp, begin.picture
    for step in source:
        sequence += step.missing
        packets = []
        count = step.packets if video else 1
        for place in range(count):
            vp8 = descriptor(picture, picture, usual=step.usual) if video else None
            payload = bytes([place + 1]) * step.sizes[place]
            marker = 0x80 if place == count - 1 else 0
            packets.append(Packet(sequence, timestamp & 0xFFFFFFFF, marker, payload, vp8, 0.0))
            sequence += 1
        frames.append(Frame(packets))
        timestamp += step.ticks
        picture += 1
    return frames


def without_padding(packet: bytes) -> bytes:
    """Take RTP padding away (RFC 3550 §5.1)."""
    if not packet[0] & 0x20:
        return packet
    return bytes([packet[0] & ~0x20]) + packet[1 : len(packet) - packet[-1]]


@pytest.fixture(autouse=True, scope="module")
def unprotected() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.relay.forwarding.slot.srtp_protect", lambda *_: 0)
        yield


@pytest.mark.parametrize(
    ("video", "cuts"),
    [(True, False), (True, True), (False, False)],
    ids=["picture", "picture that the kernel cuts", "voice"],
)
@settings(max_examples=40)
@given(begin=beginnings, source=st.lists(steps, min_size=1, max_size=12), level=st.integers(0, 255))
def test_the_usual_way_and_the_plain_one_send_the_same(
    video: bool, cuts: bool, begin: Beginning, source: list[Step], level: int
) -> None:
    """Sequences, time stamps and picture ids, across their wraps; late packets and holes."""
    usual, plain = Wire(cuts=cuts), Wire(cuts=False)
    one, other = (slot_on(wire, begin, video=video) for wire in (usual, plain))
    for frame in frames_of(begin, source, video=video):
        DEPARTURES.cuts = cuts
        one.forward(frame, level, 1.0)
        other._forward_each(frame.packets, level, 1.0)
    assert [without_padding(packet) for packet in usual.packets] == plain.packets
    assert [number for number, _ in usual.noted] == [number for number, _ in plain.noted]
    assert [size for _, size in usual.noted] == [len(packet) for packet in usual.packets]
    first, second = (
        {name: getattr(slot.numbering, name) for name in Numbering.__slots__}
        for slot in (one, other)
    )
    assert first == second
    assert (one.packets, one.octets, one.late) == (other.packets, other.octets, other.late)
    assert usual.outlet.transport_sequence == plain.outlet.transport_sequence
