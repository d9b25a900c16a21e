"""The RTP header of one slot's packets, with its constant parts made once (RFC 8285)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from actors.relay.wire.rtp import (
    AUDIO_LEVEL_URI,
    HEADER,
    MID_URI,
    ONE_BYTE_PROFILE,
    TRANSPORT_CC_URI,
    TWO_BYTE_PROFILE,
)


class Header:
    """Header and extensions as one `struct`.

    `elements` says what follows the SSRC: 2 for `bare`, a transport-wide number and a suffix, 1
    without the number, 0 for nothing. `suffixes` holds, per audio level, what stands behind.
    """

    __slots__ = ("bare", "elements", "pack_into", "size", "suffixes")

    def __init__(self, mid: str, extensions: Mapping[str, int], *, video: bool) -> None:
        """Lay out what the section's answer names: MID, transport-wide number, audio level."""
        two_byte = any(number > 14 for number in extensions.values())

        def element(number: int, size: int) -> bytes:
            return bytes([number, size] if two_byte else [number << 4 | size - 1])

        prefix = b""
        if MID_URI in extensions:
            text = mid.encode("ascii")
            prefix += element(extensions[MID_URI], len(text)) + text
        counted = TRANSPORT_CC_URI in extensions
        if counted:
            prefix += element(extensions[TRANSPORT_CC_URI], 2)
        level = b""
        if not video and AUDIO_LEVEL_URI in extensions:
            level = element(extensions[AUDIO_LEVEL_URI], 1)
        size = len(prefix) + 2 * counted + len(level) + bool(level)
        padding = bytes(-size % 4)
        profile = TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE
        self.bare = struct.pack("!HH", profile, (size + len(padding)) // 4) + prefix
        self.suffixes = [
            level + bytes([value]) + padding if level else padding for value in range(256)
        ]
        self.elements = 2 if counted else 1 if size else 0
        middle = "H" if counted else ""
        tail = len(self.suffixes[0])
        layout = struct.Struct(f"!BBHII{len(self.bare)}s{middle}{tail}s") if size else HEADER
        self.pack_into = layout.pack_into
        self.size = layout.size

    @classmethod
    def plain(cls) -> Header:
        """Return a header without extensions: what a slot has before it is negotiated."""
        return cls("", {}, video=True)

    def number_in(self, packet: bytes) -> int | None:
        """Return the transport-wide number of a packet with this header; None where it has none."""
        if self.elements != 2:
            return None
        position = 12 + len(self.bare)
        return packet[position] << 8 | packet[position + 1]

    def write(
        self,
        view: memoryview,
        start: int,
        second: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        number: int,
        level: int,
    ) -> None:
        """Write `size` bytes from `start` on; `number` is the transport-wide one, if any.

        `Slot.forward` writes the usual form itself.
        """
        elements = self.elements
        if elements == 2:
            suffix = self.suffixes[level]
            self.pack_into(
                view, start, 0x90, second, sequence, timestamp, ssrc, self.bare, number, suffix
            )
        elif elements:
            suffix = self.suffixes[level]
            self.pack_into(view, start, 0x90, second, sequence, timestamp, ssrc, self.bare, suffix)
        else:
            self.pack_into(view, start, 0x80, second, sequence, timestamp, ssrc)
