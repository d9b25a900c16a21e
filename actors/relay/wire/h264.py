"""Key frames in H.264 packets (RFC 6184 §5)."""

from __future__ import annotations

_SPS = 7
_STAP_A = 24
_FU_A = 28


def starts_key_frame(data: memoryview, start: int, end: int) -> bool:
    """Tell whether a packet begins something a decoder can start from: a sequence parameter set.

    Looks inside STAP-A, and at the first fragment of an FU-A. An IDR slice alone is no beginning:
    without its parameter sets, which stand before each (libwebrtc, OpenH264) because none are told
    in the description, nobody can decode it: where they were lost another is needed.
    """
    if start >= end:
        return False
    kind = data[start] & 0x1F
    if kind == _SPS:
        return True
    if kind == _STAP_A:
        position = start + 1
        while position + 2 < end:
            length = data[position] << 8 | data[position + 1]
            position += 2
            if length == 0 or position + length > end:
                return False
            if data[position] & 0x1F == _SPS:
                return True
            position += length
        return False
    if kind == _FU_A and start + 1 < end:
        header = data[start + 1]
        return bool(header & 0x80) and header & 0x1F == _SPS
    return False
