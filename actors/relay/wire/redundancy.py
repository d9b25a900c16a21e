"""Redundant audio (RFC 2198): earlier frames repeated in the packet of a later one."""

from __future__ import annotations

from typing import NamedTuple

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
