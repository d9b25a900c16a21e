"""Packets as a publisher sent them, decrypted: what is forwarded, and kept for repairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.relay.wire.vp8 import Vp8

MOST_PADDING = 4
"""Bytes added to a packet so that it is as long as its neighbours."""
_PADDING = [bytes([0] * (count - 1) + [count])[-count:] for count in range(MOST_PADDING + 1)]
"""RTP padding: its last byte counts it (RFC 3550 §5.1)."""
_PLAIN, _PADDED = 0x90, 0xB0
"""An RTP header's first byte: version 2, with extensions; the other says that there is padding."""


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
    as the packets of a frame do. Those that are nearly of one length are padded to it: libwebrtc
    makes the packets of a frame differ by a byte with the larger last, the kernel cuts only what is
    equal with the shorter last.
    """

    __slots__ = ("octets", "packets", "parts", "plain", "vp8")

    def __init__(self, packets: Sequence[Packet]) -> None:
        self.packets = packets
        first = packets[0]
        _, _, marker, payload, vp8, _ = first
        self.vp8 = vp8
        """Of the first packet; the counters hold for all where `plain` is set."""
        self.plain = vp8 is None or vp8.usual
        self.parts = [(_PLAIN, marker, payload)]
        """Of each packet the header's first byte, the marker, and the payload with its padding."""
        self.octets = shortest = longest = len(payload)
        """Of payload, padding left aside (RFC 3550 §6.4.1)."""
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
        if longest - shortest > MOST_PADDING:
            longest = 0
        self.parts = [
            (_PADDED, marker, payload + _PADDING[longest - len(payload)])
            if len(payload) < longest
            else (_PLAIN, marker, payload)
            for _, _, marker, payload, _, _ in packets
        ]


def _same(one: Vp8 | None, other: Vp8 | None) -> bool:
    if one is None or other is None:
        return one is other
    return (
        one.picture == other.picture
        and one.level == other.level
        and one.picture_position == other.picture_position
        and other.usual
    )
