"""Packets as they left, protected: what a slot without RTX resends (design-media §1).

Such a retransmission has the number of the original, and under one key a (SSRC, rollover, sequence)
is never protected twice with different bytes (RFC 7714 §8.1), so the bytes themselves are kept.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_PACKETS = 512
MOST_OCTETS = 256 * 1024
"""A second of 2 Mbit/s."""
MOST_SECONDS = 1.0


class Sent(NamedTuple):
    """One packet with its authentication tag, ready for the wire."""

    data: bytes
    number: int | None
    """Its transport-wide number, where it carries one."""
    at: float


class Protected:
    """The last packets of one slot, within three bounds; the oldest goes first.

    Made by the slot's repairs for each layer that has no RTX, and dropped with it: a slot, its SSRC
    and its key have the life of one transport.
    """

    __slots__ = ("_packets", "octets")

    def __init__(self) -> None:
        self._packets: dict[int, Sent] = {}
        """By the 16-bit sequence, in the order in which they left."""
        self.octets = 0

    def __len__(self) -> int:
        return len(self._packets)

    def keep(self, data: bytes, number: int | None, at: float) -> None:
        """Take a packet that leaves now; libsrtp has seen to it that its sequence is a new one."""
        packets = self._packets
        packets[data[2] << 8 | data[3]] = Sent(data, number, at)
        self.octets += len(data)
        while True:
            sequence, oldest = next(iter(packets.items()))
            if (
                len(packets) <= MOST_PACKETS
                and self.octets <= MOST_OCTETS
                and at - oldest.at <= MOST_SECONDS
            ):
                return
            del packets[sequence]
            self.octets -= len(oldest.data)

    def find(self, sequence: int, now: float) -> Sent | None:
        """Return what left under this 16-bit sequence within the last second."""
        sent = self._packets.get(sequence)
        return sent if sent is not None and now - sent.at <= MOST_SECONDS else None
