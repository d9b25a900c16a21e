"""Packets as a publisher sent them, decrypted: what is forwarded, and kept for repairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.relay.wire.vp8 import Vp8

MOST_PADDING = 4
"""Bytes added to a packet so that it is as long as its neighbours."""


class Packet(NamedTuple):
    """One packet, kept once per layer whatever the audience; sequences do not wrap here."""

    sequence: int
    timestamp: int
    marker: int
    """0x80 on the last packet of a frame, else 0."""
    payload: bytes
    vp8: Vp8 | None
    at: float


class Frame:
    """Packets that leave together, with what is the same for every subscriber worked out once.

    `plain` says that they follow one another without a hole and share time stamp and VP8 counters,
    as the packets of a frame do. `length` is what all but the last are padded to, 0 for no padding:
    libwebrtc makes the packets of a frame differ by a byte with the larger last, the kernel cuts
    only what is equal with the shorter last.
    """

    __slots__ = ("length", "octets", "packets", "plain", "vp8")

    def __init__(self, packets: Sequence[Packet]) -> None:
        self.packets = packets
        first = packets[0]
        self.vp8 = vp8 = first.vp8
        """Of the first packet; the counters hold for all where `plain` is set."""
        self.length = 0
        self.plain = vp8 is None or vp8.usual
        self.octets = shortest = longest = len(first.payload)
        if len(packets) == 1:
            return
        following, timestamp = first.sequence, first.timestamp
        for sequence, stamp, _, payload, descriptor, _ in packets:
            length = len(payload)
            if sequence != following or stamp != timestamp or not _same(vp8, descriptor):
                self.plain = False
            following = sequence + 1
            if length > longest:
                longest = length
            elif length < shortest:
                shortest = length
            self.octets += length
        self.octets -= len(first.payload)
        if longest - shortest <= MOST_PADDING:
            self.length = longest


def _same(one: Vp8 | None, other: Vp8 | None) -> bool:
    if one is None or other is None:
        return one is other
    return (
        one.picture == other.picture
        and one.level == other.level
        and one.picture_position == other.picture_position
        and other.usual
    )
