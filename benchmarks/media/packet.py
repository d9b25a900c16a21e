"""RTP packets written by hand: one stream's running numbers, and the bytes they make."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field

from actors.relay.wire.rtp import ONE_BYTE_PROFILE

AUDIO_TICKS = 960
"""20 ms of Opus, whose clock is 48 kHz."""
VIDEO_RATE = 90_000
"""Of the clock of any video, ticks per second (RFC 7741, section 4.1)."""
FRAME_TICKS = VIDEO_RATE // 30
"""A thirtieth of a second."""
_HEADER = struct.Struct("!BBHIIHH")


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

    def begin_picture(self) -> None:
        """Let the next packet be of the next picture."""
        self.picture = self.picture + 1 & 0x7FFF
        self.level = self.level + 1 & 0xFF

    def step(self, ticks: int, octets: int) -> int:
        """Count a packet and move on behind it; returns its sequence number."""
        sequence = self.sequence
        self.sequence = sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + ticks & 0xFFFFFFFF
        self.packets += 1
        self.octets += octets
        return sequence

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
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    elements: bytes,
    payload: bytes,
    *,
    marker: bool = False,
) -> int:
    """Write a packet at the beginning of `view`; returns its size."""
    padding = -len(elements) % 4
    if padding:
        elements += bytes(padding)
    count = len(elements)
    second = marker << 7 | payload_type
    _HEADER.pack_into(
        view, 0, 0x90, second, sequence, timestamp, ssrc, ONE_BYTE_PROFILE, count // 4
    )
    start = _HEADER.size + count
    view[_HEADER.size : start] = elements
    size = start + len(payload)
    view[start:size] = payload
    return size
