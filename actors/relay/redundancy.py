"""Redundant audio (RFC 2198): earlier frames repeated in the packet of a later one.

A sender that uses it is passed on as it is to those who accept it. For the rest the newest frame
is unwrapped, and the earlier ones stand in for packets that were lost on the way in.
"""

from __future__ import annotations

from typing import NamedTuple

from .kept import Frame, Kept

_MOST_BLOCKS = 9
"""Browsers repeat one or two frames; nine is the most that libwebrtc can be told to."""


class Block(NamedTuple):
    """One frame inside a packet."""

    back: int
    """By how many clock ticks it is older than the packet's time stamp."""
    start: int
    end: int


class Redundant(NamedTuple):
    """A packet taken apart; positions count in the packet's buffer."""

    primary: Block
    earlier: tuple[Block, ...]
    """Oldest first."""
    headers: tuple[int, ...]
    """Where each block's header begins: the low seven bits there are its payload type."""


def blocks_of(data: memoryview, start: int, end: int, payload_type: int) -> Redundant | None:
    """Read the payload `data[start:end]`; None unless all of it is in `payload_type`.

    Four bytes head each earlier block (one bit "more follow", payload type, 14 bits of time stamp
    offset, 10 bits of length), one byte heads the last (RFC 2198 §3).
    """
    headers: list[int] = []
    sizes: list[tuple[int, int]] = []
    position = start
    while True:
        if position >= end or len(headers) > _MOST_BLOCKS or data[position] & 0x7F != payload_type:
            return None
        headers.append(position)
        if not data[position] & 0x80:
            position += 1
            break
        if position + 4 > end:
            return None
        rest = int.from_bytes(data[position + 1 : position + 4], "big")
        sizes.append((rest >> 10, rest & 0x3FF))
        position += 4
    earlier: list[Block] = []
    for back, size in sizes:
        if position + size > end:
            return None
        if size:
            earlier.append(Block(back, position, position + size))
        position += size
    if position >= end:
        return None
    return Redundant(Block(0, position, end), tuple(earlier), tuple(headers))


def stand_ins(found: Redundant, sequence: int, timestamp: int) -> list[tuple[int, int, Block]]:
    """Return (sequence, time stamp, block) of the packets that came just before, oldest first.

    Which packet a block was is told by evenly spaced time stamps only; others are left alone.
    """
    count = len(found.earlier)
    if not count:
        return []
    step = found.earlier[-1].back
    return [
        (sequence - (count - index), timestamp - block.back & 0xFFFFFFFF, block)
        for index, block in enumerate(found.earlier)
        if step and block.back == step * (count - index)
    ]


def renumbered(payload: bytes, headers: tuple[int, ...], start: int, payload_type: int) -> bytes:
    """Return a payload whose blocks carry the receiver's number for the codec."""
    changed = bytearray(payload)
    for header in headers:
        changed[header - start] = changed[header - start] & 0x80 | payload_type
    return bytes(changed)


class Forms:
    """One redundant packet in the forms its receivers need, each made at first need and once.

    Positions in `found` count in `data`, which need not last longer than the call that passes
    the packet on: what a form holds is a copy.
    """

    __slots__ = (
        "_at",
        "_data",
        "_found",
        "_marker",
        "_newest",
        "_own",
        "_sequence",
        "_stand_ins",
        "_timestamp",
        "_wrapped",
    )

    def __init__(
        self,
        data: memoryview,
        found: Redundant,
        sequence: int,
        timestamp: int,
        marker: int,
        payload_type: int,
        now: float,
    ) -> None:
        """`payload_type` is the publisher's number for the codec inside."""
        self._data = data
        self._found = found
        self._sequence = sequence
        self._timestamp = timestamp
        self._marker = marker
        self._own = payload_type
        self._at = now
        self._wrapped: dict[int, Frame] = {}
        self._newest: Frame | None = None
        self._stand_ins: list[Frame] | None = None

    def wrapped(self, payload_type: int) -> Frame:
        """Return the packet as it came, for receivers that number the codec so."""
        frame = self._wrapped.get(payload_type)
        if frame is None:
            headers = self._found.headers
            payload = bytes(self._data[headers[0] : self._found.primary.end])
            if payload_type != self._own:
                payload = renumbered(payload, headers, headers[0], payload_type)
            frame = self._wrapped[payload_type] = self._frame(
                self._sequence, self._timestamp, self._marker, payload
            )
        return frame

    def newest(self) -> Frame:
        """Return the newest frame by itself, for receivers that accept no redundancy."""
        if self._newest is None:
            block = self._found.primary
            payload = bytes(self._data[block.start : block.end])
            self._newest = self._frame(self._sequence, self._timestamp, self._marker, payload)
        return self._newest

    def stand_ins(self, after: int) -> list[Frame]:
        """Return the earlier frames whose sequence is above `after`, oldest first."""
        if after >= self._sequence - 1:
            # Nothing was lost on the way in, as nearly always.
            return []
        if self._stand_ins is None:
            self._stand_ins = [
                self._frame(sequence, stamp, 0, bytes(self._data[block.start : block.end]))
                for sequence, stamp, block in stand_ins(
                    self._found, self._sequence, self._timestamp
                )
            ]
        return [frame for frame in self._stand_ins if frame.packets[0].sequence > after]

    def _frame(self, sequence: int, timestamp: int, marker: int, payload: bytes) -> Frame:
        return Frame((Kept(sequence, timestamp, marker, payload, None, self._at),))
