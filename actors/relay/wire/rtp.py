"""RTP headers and their extensions (RFC 3550 §5.1, RFC 8285).

Nothing here raises on hostile bytes: a packet that is not RTP gives None.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

SILENT = 127
"""The audio level of silence, in -dBov (RFC 6464)."""

HEADER = struct.Struct("!BBHII")
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000


class Body(NamedTuple):
    """Where the parts of a packet lie, in bytes from its start."""

    extensions: int
    """First byte after the extension header; equal to `extensions_end` when there is none."""
    extensions_end: int
    two_byte: bool
    payload: int
    payload_end: int


def body_of(data: memoryview, size: int) -> Body | None:
    """Find extensions and payload of an RTP packet of `size` bytes, without its padding."""
    if size < 12:
        return None
    first = data[0]
    if first >> 6 != 2:
        return None
    position = 12 + 4 * (first & 0x0F)
    extensions = extensions_end = position
    two_byte = False
    if first & 0x10:
        if position + 4 > size:
            return None
        profile = data[position] << 8 | data[position + 1]
        length = (data[position + 2] << 8 | data[position + 3]) * 4
        position += 4
        extensions = position
        position += length
        if profile == ONE_BYTE_PROFILE:
            extensions_end = position
        elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
            extensions_end = position
            two_byte = True
        else:
            extensions_end = extensions
    if position > size:
        return None
    end = size
    if first & 0x20:
        padding = data[size - 1]
        if padding == 0 or position + padding > size:
            return None
        end -= padding
    return Body(extensions, extensions_end, two_byte, position, end)


def extension(data: memoryview, body: Body, wanted: int) -> memoryview | None:
    """Return the value of the header extension with id `wanted` (RFC 8285 §4.2 and §4.3)."""
    position = body.extensions
    end = body.extensions_end
    if body.two_byte:
        while position + 1 < end:
            element = data[position]
            if element == 0:
                position += 1
                continue
            length = data[position + 1]
            position += 2
            if position + length > end:
                return None
            if element == wanted:
                return data[position : position + length]
            position += length
        return None
    while position < end:
        element = data[position]
        if element < 16:
            if element:
                # Padding has no length: what does is ignored, with all behind it.
                return None
            position += 1
            continue
        length = (element & 0x0F) + 1
        element >>= 4
        position += 1
        if element == 15 or position + length > end:
            return None
        if element == wanted:
            return data[position : position + length]
        position += length
    return None


def text_extension(data: memoryview, body: Body, wanted: int) -> str | None:
    """Return an SDES item carried as a header extension (RFC 7941), or None."""
    value = extension(data, body, wanted)
    if value is None:
        return None
    try:
        return bytes(value).decode("ascii")
    except UnicodeDecodeError:
        return None


def unwrap(value: int, near: int, bits: int) -> int:
    """Extend a counter of `bits` bits to the integer nearest to `near`."""
    span = 1 << bits
    delta = (value - near) & (span - 1)
    if delta >= span >> 1:
        delta -= span
    return near + delta


def ahead(value: int, other: int) -> bool:
    """Tell whether a 32-bit time stamp lies after another one."""
    return value != other and (value - other) & 0xFFFFFFFF < 0x80000000
