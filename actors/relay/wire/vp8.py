"""The VP8 payload descriptor (RFC 7741 §4.2): what a forwarder must read and rewrite."""

from __future__ import annotations

from typing import NamedTuple


class Vp8(NamedTuple):
    """The parts of a descriptor a forwarder needs; positions count from the payload's start."""

    starts_frame: bool
    """First packet of a frame (S = 1, PID = 0)."""
    key: bool
    """First packet of a key frame."""
    picture_position: int
    """Where the picture id lies; 0 when there is none."""
    picture_bits: int
    """7 or 15; 0 when there is none."""
    picture: int
    level_position: int
    """Where TL0PICIDX lies; 0 when there is none."""
    level: int
    size: int
    """Bytes of the descriptor."""

    @property
    def usual(self) -> bool:
        """Whether a 15-bit picture id and TL0PICIDX stand side by side, as browsers write them."""
        return self.picture_bits == 15 and self.level_position == self.picture_position + 2


def parse_vp8(data: memoryview, start: int, end: int) -> Vp8 | None:
    """Read the descriptor in `data[start:end]`; None when it does not fit."""
    if start >= end:
        return None
    first = data[start]
    position = start + 1
    picture_position = picture_bits = picture = level_position = level = 0
    if first & 0x80:
        if position >= end:
            return None
        flags = data[position]
        position += 1
        if flags & 0x80:
            if position >= end:
                return None
            picture_position = position - start
            picture = data[position]
            if picture & 0x80:
                if position + 1 >= end:
                    return None
                picture = (picture & 0x7F) << 8 | data[position + 1]
                picture_bits = 15
                position += 2
            else:
                picture_bits = 7
                position += 1
        if flags & 0x40:
            if position >= end:
                return None
            level_position = position - start
            level = data[position]
            position += 1
        if flags & 0x30:
            position += 1
    if position >= end:
        return None
    starts_frame = first & 0x17 == 0x10
    # The frame header's first bit is P, 0 in a key frame (RFC 6386 §9.1).
    key = starts_frame and not data[position] & 0x01
    return Vp8(
        starts_frame,
        key,
        picture_position,
        picture_bits,
        picture,
        level_position,
        level,
        position - start,
    )


def frame_height(data: memoryview, start: int, end: int, vp8: Vp8) -> int:
    """Return the height in pixels that a key frame's first packet tells (RFC 6386 §9.1), or 0."""
    if not vp8.key:
        return 0
    # Three bytes of frame tag, the start code, then width and height with their scales.
    position = start + vp8.size
    if position + 10 > end or bytes(data[position + 3 : position + 6]) != b"\x9d\x01\x2a":
        return 0
    return (data[position + 9] << 8 | data[position + 8]) & 0x3FFF
