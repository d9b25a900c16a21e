"""Many datagrams in one system call: Linux's recvmmsg and sendmmsg, through cffi.

Where they are missing `available` is false and nothing else here may be used. cffi comes with
pylibsrtp; no compiled code of our own.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Any, Final

from actors.relay.network._libc import ffi as _ffi

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
_SOL_UDP, _UDP_SEGMENT = 17, 103
_SEGMENT = struct.Struct("=QiiH")
_SEGMENT_SPACE = 24
_MESSAGE = struct.Struct("=QI4xQQQQi4x")
_MESSAGE_BYTES = 64
_IOV_BYTES = 16

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

    __slots__ = (
        "_controls",
        "_fresh",
        "_headers",
        "_keep",
        "_names",
        "_raw",
        "_used",
        "count",
        "lengths",
    )

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
        self._used = 0
        """Headers that the last call wrote over."""
        self.lengths = self._raw.cast("I")

    def receive(self, descriptor: int) -> int:
        """Take what waits on a socket; returns how many datagrams, 0 when none does."""
        # Only what the last call wrote over: one datagram is usual, each header a cache line.
        used = self._used * _MESSAGE_BYTES
        self._raw[:used] = self._fresh[:used]
        got: int = _libc.recvmmsg(descriptor, self._headers, self.count, MSG_DONTWAIT, _ffi.NULL)
        self._used = got = max(0, got)
        return got

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


class Name:
    """A socket address as the kernel reads it; kept alive by whoever sends there."""

    __slots__ = ("_memory", "address", "size")

    def __init__(self, packed: bytes) -> None:
        self._memory: Any = _ffi.new("unsigned char[]", packed)
        self.address = int(_ffi.cast("uintptr_t", self._memory))
        self.size = len(packed)


class Outgoing:
    """Messages to be sent in one call, each of one datagram or of several of one size.

    Datagrams lie in cells of `DATAGRAM_BYTES`. Several in one message are cut apart by the kernel
    (UDP segmentation offload, UDP_SEGMENT in udp(7)): all as long as the first, the last may be
    shorter.
    """

    __slots__ = (
        "_control_address",
        "_controls",
        "_headers",
        "_iov_address",
        "_keep",
        "_raw",
        "count",
        "lengths",
        "most",
    )

    def __init__(self, address: int, cells: int, most: int) -> None:
        """Send from `cells` cells at `address`; `most` messages at once."""
        iov = _ffi.new("struct iovec[]", cells)
        for index in range(cells):
            iov[index].iov_base = _ffi.cast("void *", address + index * DATAGRAM_BYTES)
        self._headers: Any = _ffi.new("struct mmsghdr[]", most)
        controls = _ffi.new("unsigned char[]", most * CONTROL_BYTES)
        self._keep = (iov, controls)
        self._iov_address = int(_ffi.cast("uintptr_t", iov))
        self._control_address = int(_ffi.cast("uintptr_t", controls))
        self._controls = memoryview(_ffi.buffer(controls)).cast("B")
        self._raw = memoryview(_ffi.buffer(self._headers)).cast("B")
        self.lengths = memoryview(_ffi.buffer(iov)).cast("B").cast("Q")
        """`lengths[2 * cell + 1]` is the length of the datagram in that cell."""
        self.count = 0
        self.most = most

    def add(self, name: Name, cell: int, datagrams: int, segment: int) -> None:
        """Append a message of so many cells from `cell` on, each of `segment` bytes."""
        place = self.count
        self.count = place + 1
        control = 0
        if datagrams > 1:
            _SEGMENT.pack_into(
                self._controls, place * CONTROL_BYTES, 18, _SOL_UDP, _UDP_SEGMENT, segment
            )
            control = _SEGMENT_SPACE
        _MESSAGE.pack_into(
            self._raw,
            place * _MESSAGE_BYTES,
            name.address,
            name.size,
            self._iov_address + cell * _IOV_BYTES,
            datagrams,
            self._control_address + place * CONTROL_BYTES if control else 0,
            control,
            0,
        )

    def send(self, descriptor: int, first: int) -> int:
        """Send the messages from `first` on; returns how many went, or the error as -errno."""
        headers = self._headers + first if first else self._headers
        sent: int = _libc.sendmmsg(descriptor, headers, self.count - first, MSG_DONTWAIT)
        return sent if sent > 0 else -int(_ffi.errno)
