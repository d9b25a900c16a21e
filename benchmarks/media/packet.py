"""RTP packets written by hand: one stream's running numbers, and the bytes they make."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field

_HEADER = struct.Struct("!BBHIIHH")
_ONE_BYTE_FORM = 0xBEDE
"""Marks header extensions of one-byte elements (RFC 8285 §4.2)."""


@dataclass(slots=True, eq=False, kw_only=True)
class Numbering:
    """Where one stream that is sent stands: what its next packet carries, what has left so far."""

    ssrc: int
    mid: str
    sequence: int = field(default_factory=lambda: secrets.randbelow(1 << 16))
    timestamp: int = field(default_factory=lambda: secrets.randbits(32))
    picture: int = field(default_factory=lambda: secrets.randbelow(1 << 15))
    level: int = 0
    packets: int = 0
    octets: int = 0

    def vp8_head(self, *, first: bool, key: bool) -> bytes:
        """Return a descriptor with picture id and TL0PICIDX (RFC 7741), and a frame's first byte.

        `first` says that the packet begins a frame, `key` that it is a key frame's.
        """
        return bytes(
            [
                0x90 if first else 0x80,
                0xC0,
                0x80 | self.picture >> 8,
                self.picture & 0xFF,
                self.level,
                0x00 if key and first else 0x01,
            ]
        )


def element(number: int, value: bytes) -> bytes:
    """Return one element of the header extensions; its value has 1 to 16 bytes."""
    return bytes([number << 4 | len(value) - 1]) + value


def write(
    view: memoryview,
    second: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    elements: bytes,
    payload: bytes,
) -> int:
    """Write a packet at the beginning of `view`; returns its size.

    `second` is the header's second byte: the marker and the payload type.
    """
    padding = -len(elements) % 4
    if padding:
        elements += bytes(padding)
    count = len(elements)
    _HEADER.pack_into(view, 0, 0x90, second, sequence, timestamp, ssrc, _ONE_BYTE_FORM, count // 4)
    start = _HEADER.size + count
    view[_HEADER.size : start] = elements
    size = start + len(payload)
    view[start:size] = payload
    return size
