"""SRTP in place, on preallocated buffers: the one module that knows pylibsrtp's insides.

pylibsrtp's own `Session` copies each packet twice and allocates a length; at thousands of packets
a second that is half the cost of encryption. This module uses its cffi `lib` and `ffi`, and the
`_srtp` handle of a `Session`. `tests/relay/test_pylibsrtp_private.py` is the canary for all three.
"""

from __future__ import annotations

from typing import Any, Final

import pylibsrtp
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from actors.relay.network.mmsg import DATAGRAM_BYTES

_TRAILER_BYTES = 16 + 128
_MOST_TO_PROTECT = DATAGRAM_BYTES - _TRAILER_BYTES
srtp_protect: Any = lib.srtp_protect
"""libsrtp's own: takes a handle, a pointer and a length; for the loop in `Slot.forward`."""
_unprotect = lib.srtp_unprotect
_protect_rtcp = lib.srtp_protect_rtcp
_unprotect_rtcp = lib.srtp_unprotect_rtcp

PROFILES: Final[dict[bytes, tuple[int, int, int]]] = {
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
"""DTLS name → (libsrtp profile, key bytes, salt bytes), preferred first (RFC 7714, RFC 5764)."""


def available_profiles() -> tuple[bytes, ...]:
    """Return the profiles this build of libsrtp has; AES-GCM needs one with OpenSSL."""
    available = []
    for name, (profile, _, _) in PROFILES.items():
        try:
            Policy(srtp_profile=profile)
        except pylibsrtp.Error:
            continue
        available.append(name)
    return tuple(available)


class Buffer:
    """A packet buffer that libsrtp works on in place; `view` is the same memory."""

    __slots__ = ("cdata", "length", "view")

    def __init__(self) -> None:
        self.cdata: Any = ffi.new("unsigned char[]", DATAGRAM_BYTES)
        self.length: Any = ffi.new("int *")
        self.view = memoryview(ffi.buffer(self.cdata)).cast("B")

    @property
    def address(self) -> int:
        """Where the memory lies, for system calls that fill it."""
        return int(ffi.cast("uintptr_t", self.cdata))


class Cells:
    """Many packet buffers in one piece of memory, for packets that leave together.

    Cell `i` begins at byte `i * DATAGRAM_BYTES` of `view`; `pointers[i]` is what libsrtp takes.
    """

    __slots__ = ("address", "count", "length", "pointers", "view")

    def __init__(self, count: int) -> None:
        memory = ffi.new("unsigned char[]", count * DATAGRAM_BYTES)
        self.count = count
        self.length: Any = ffi.new("int *")
        self.view = memoryview(ffi.buffer(memory)).cast("B")
        # The first pointer owns the memory, the others are only valid as long as it lives.
        self.pointers: list[Any] = [memory, *(memory + i * DATAGRAM_BYTES for i in range(1, count))]
        self.address = int(ffi.cast("uintptr_t", memory))


class Srtp:
    """One direction of one transport's SRTP.

    libsrtp refuses to protect a (SSRC, rollover, sequence) twice, because repeats stay off:
    with AES-GCM a repeat with other bytes would give the key away (RFC 7714 §8.1).
    """

    __slots__ = ("_session", "handle")

    def __init__(self, profile: bytes, key: bytes, *, inbound: bool) -> None:
        number, _, _ = PROFILES[profile]
        policy = Policy(
            key=key,
            ssrc_type=Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=number,
        )
        policy.window_size = 1024
        self._session = Session(policy)
        self.handle: Any = self._session._srtp[0]

    def protect(self, buffer: Buffer, size: int) -> int:
        """Encrypt the RTP packet of `size` bytes in place; return its new size, 0 on failure.

        Forwarded packets, each in a cell of its own, take `srtp_protect` (`Slot.forward`).
        """
        if size > _MOST_TO_PROTECT:
            return 0
        length = buffer.length
        length[0] = size
        if srtp_protect(self.handle, buffer.cdata, length):
            return 0
        result: int = length[0]
        return result

    def unprotect(self, buffer: Buffer, size: int) -> int:
        """Check and decrypt an RTP packet in place; return its new size, 0 on failure."""
        length = buffer.length
        length[0] = size
        if _unprotect(self.handle, buffer.cdata, length):
            return 0
        result: int = length[0]
        return result

    def protect_rtcp(self, buffer: Buffer, size: int) -> int:
        """Encrypt a compound RTCP packet in place; return its new size, 0 on failure."""
        if size > _MOST_TO_PROTECT:
            return 0
        buffer.length[0] = size
        if _protect_rtcp(self.handle, buffer.cdata, buffer.length):
            return 0
        result: int = buffer.length[0]
        return result

    def unprotect_rtcp(self, buffer: Buffer, size: int) -> int:
        """Check and decrypt a compound RTCP packet in place; return its size, 0 on failure."""
        buffer.length[0] = size
        if _unprotect_rtcp(self.handle, buffer.cdata, buffer.length):
            return 0
        result: int = buffer.length[0]
        return result
