"""Many datagrams in one system call: Linux's recvmmsg and sendmmsg, through cffi.

Where they are missing `available` is false and nothing else here may be used. cffi comes with
pylibsrtp; no compiled code of our own. Layouts as in <sys/socket.h> of 64-bit Linux.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Any, Final

from cffi import FFI

DATAGRAM_BYTES: Final = 2048
"""Room for one datagram; the longest packet accepted is far shorter."""
MSG_DONTWAIT: Final = 0x40
NAME_BYTES: Final = 28
"""A sockaddr_in6; a sockaddr_in takes 16 of them."""
CONTROL_BYTES: Final = 64
LENGTH_STEP: Final = 16
LENGTH_FIRST: Final = 14
_CMSG_HEADER = 16
_TIMESPEC = struct.Struct("@qq")

_ffi = FFI()
_ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr {
        void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
        void *msg_control; size_t msg_controllen; int msg_flags;
    };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int, struct mmsghdr *, unsigned int, int, void *);
    int sendmmsg(int, struct mmsghdr *, unsigned int, int);
    """
)
_libc: Any = _ffi.dlopen(None) if sys.platform == "linux" and sys.maxsize > 1 << 32 else None


def _has(name: str) -> bool:
    try:
        return _libc is not None and getattr(_libc, name) is not None
    except AttributeError:
        return False


available: Final = _has("recvmmsg") and _has("sendmmsg")


class Received:
    """Fills up to one datagram per buffer, with its sender's name and its control data.

    `lengths[LENGTH_STEP * i + LENGTH_FIRST]` is the size of datagram `i`: one look into one
    array, because this is asked for every packet.
    """

    __slots__ = ("_controls", "_fresh", "_headers", "_keep", "_names", "_raw", "count", "lengths")

    def __init__(self, addresses: Sequence[int]) -> None:
        """Receive into memory of `DATAGRAM_BYTES` at each address; its owner keeps it alive."""
        self.count = count = len(addresses)
        names = _ffi.new("unsigned char[]", count * NAME_BYTES)
        controls = _ffi.new("unsigned char[]", count * CONTROL_BYTES)
        iov = _ffi.new("struct iovec[]", count)
        self._headers: Any = _ffi.new("struct mmsghdr[]", count)
        for index, address in enumerate(addresses):
            iov[index].iov_base = _ffi.cast("void *", address)
            iov[index].iov_len = DATAGRAM_BYTES
            header = self._headers[index].msg_hdr
            header.msg_name = names + index * NAME_BYTES
            header.msg_namelen = NAME_BYTES
            header.msg_iov = iov + index
            header.msg_iovlen = 1
            header.msg_control = controls + index * CONTROL_BYTES
            header.msg_controllen = CONTROL_BYTES
        self._keep = (iov, names, controls)
        self._names = memoryview(_ffi.buffer(names)).cast("B")
        self._controls = memoryview(_ffi.buffer(controls)).cast("B")
        self._raw = memoryview(_ffi.buffer(self._headers)).cast("B")
        self._fresh = bytes(self._raw)
        """The kernel writes lengths over what it was given; this is what it was given."""
        self.lengths = self._raw.cast("I")

    def receive(self, descriptor: int) -> int:
        """Take what waits on a socket; returns how many datagrams, 0 when none does."""
        self._raw[:] = self._fresh
        got: int = _libc.recvmmsg(descriptor, self._headers, self.count, MSG_DONTWAIT, _ffi.NULL)
        return max(0, got)

    def name(self, index: int, size: int) -> bytes:
        """Return the first `size` bytes of the sender's socket address."""
        start = index * NAME_BYTES
        return self._names[start : start + size].tobytes()

    def timestamp(self, index: int) -> float:
        """Return when the kernel took the datagram; needs SO_TIMESTAMPNS and nothing else set."""
        seconds, nanoseconds = _TIMESPEC.unpack_from(
            self._controls, index * CONTROL_BYTES + _CMSG_HEADER
        )
        return float(seconds + nanoseconds * 1e-9)
