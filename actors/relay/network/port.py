"""The relay's UDP port: one number on every bound address, datagrams in and out.

Reading is bounded per wake-up. A send that would block is dropped and counted, never queued: a
late packet is worth less than the next one.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable
from typing import TypeAlias

from actors.relay.network import mmsg
from actors.relay.network.ice import Address
from actors.relay.network.pylibsrtp_private import Buffer
from broker.errors import ErrorCode, Unavailable

Endpoint: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""A remote address as the socket module gives it for IPv4 or IPv6."""

Key: TypeAlias = bytes | Endpoint
"""What a remote address is known by: as the kernel writes it where recvmmsg is used."""

_SO_MEMINFO = 55
"""Linux: nine 32-bit counters of a socket, the last one is datagrams dropped."""


class Socket:
    """One bound address. `peers` says whose validated address a datagram came from."""

    def __init__(
        self, host: str, port: int, buffer_bytes: int, *, batched: bool = mmsg.available
    ) -> None:
        """Bind; `batched` false keeps to one datagram per call, as everywhere but on Linux."""
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.peers: dict[Key, Address] = {}
        self.batched = batched
        self.name_bytes = 28 if family == socket.AF_INET6 else 16
        """Of an address as the kernel writes it."""
        self.dropped_sends = 0
        """Datagrams the kernel would not take at once."""
        self.failed_sends = 0
        """Datagrams that could not be sent at all: unreachable, not permitted, too long."""
        self.in_doubt: Callable[[], bool] = _never
        """Asked before anything is sent: nothing is while it holds."""

    def receive_into(self, buffer: Buffer) -> tuple[int, Endpoint] | None:
        """Take one datagram: (size, sender); None when none waits, or the socket has closed."""
        try:
            return self._socket.recvfrom_into(buffer.view, mmsg.DATAGRAM_BYTES)
        except OSError:
            # Also an ICMP error about something sent earlier: what waits behind it wakes again.
            return None

    def key_of(self, endpoint: Endpoint) -> Key:
        return pack_name(endpoint) if self.batched else endpoint

    def name_of(self, endpoint: Endpoint) -> mmsg.Name | None:
        return mmsg.Name(pack_name(endpoint)) if self.batched else None

    def send(self, data: bytes | memoryview, endpoint: Endpoint) -> bool:
        """Send one datagram now or not at all."""
        if self.in_doubt():
            return False
        try:
            self._socket.sendto(data, endpoint)
        except OSError as error:
            self.failed(error)
            return False
        return True

    def failed(self, error: OSError) -> None:
        """Count a datagram that was not sent."""
        if error.errno in (errno.EAGAIN, errno.ENOBUFS):
            self.dropped_sends += 1
        else:
            self.failed_sends += 1

    def kernel_drops(self) -> int:
        """Return how many datagrams the kernel threw away because nobody read in time."""
        try:
            counters = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        except OSError:
            return 0
        return int(struct.unpack("@9I", counters)[8])

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self.peers.clear()
        self._socket.close()


class Port:
    """All sockets of a relay; opened and closed by it."""

    def __init__(
        self, hosts: tuple[str, ...], ports: range, buffer_bytes: int, *, left: int = 0
    ) -> None:
        """Bind every host to the first port number that is free on all of them; no host, nothing.

        The search begins behind `left`, a port of the range given back just now.

        Raises:
            Unavailable: `no_capacity` when no number of the range is free.
        """
        self.sockets: list[Socket] = []
        self.number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Callable[[Socket], None] = _nobody_reads
        expanded = _without_wildcards(hosts)
        begin = ports.index(left) + 1 if left in ports else 0
        for number in (*ports[begin:], *ports[:begin]):
            if self._bind(expanded, number, buffer_bytes):
                return
        raise Unavailable(ErrorCode.NO_CAPACITY, "No media port of the configured range is free.")

    def _bind(self, hosts: tuple[str, ...], number: int, buffer_bytes: int) -> bool:
        try:
            for host in hosts:
                bound = Socket(host, number, buffer_bytes)
                self.sockets.append(bound)
                # With number 0 the first socket chooses for the others.
                number = bound.port
        except OSError as error:
            for bound in self.sockets:
                bound.close()
            self.sockets.clear()
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        self.number = number
        return True

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        wake: Callable[[Socket], None],
        in_doubt: Callable[[], bool],
    ) -> None:
        """Call `wake` from now on whenever a socket has something to read.

        Nothing is sent while the process is `in_doubt` whether it may.
        """
        self._loop = loop
        self._wake = wake
        for bound in self.sockets:
            bound.in_doubt = in_doubt
        self.go_on()

    def pause(self) -> None:
        """Read nothing; what comes waits in the kernel, as far as it has room."""
        for bound in self.sockets:
            if self._loop is not None:
                self._loop.remove_reader(bound.fileno())

    def go_on(self) -> None:
        """Read again; harmless when it does."""
        for bound in self.sockets:
            if self._loop is not None:
                self._loop.add_reader(bound.fileno(), self._wake, bound)

    def close(self) -> None:
        """Stop reading and give the port back; a second close does nothing."""
        self.pause()
        for bound in self.sockets:
            bound.close()
        self.sockets.clear()


def _nobody_reads(bound: Socket) -> None:
    del bound


def _never() -> bool:
    return False


def pack_name(endpoint: Endpoint) -> bytes:
    """Write an address as the kernel does (ip(7), ipv6(7))."""
    host, port = endpoint[0], endpoint[1]
    if len(endpoint) == 2:
        return struct.pack("=H", socket.AF_INET) + struct.pack(
            "!H4s8x", port, socket.inet_pton(socket.AF_INET, host)
        )
    return (
        struct.pack("=H", socket.AF_INET6)
        + struct.pack("!HI", port, 0)
        + socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        + struct.pack("=I", endpoint[3])
    )


def unpack_name(name: bytes) -> Endpoint:
    """Read an address as the kernel writes it."""
    port = name[2] << 8 | name[3]
    if len(name) == 16:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    host = socket.inet_ntop(socket.AF_INET6, name[8:24])
    return host, port, 0, int(struct.unpack_from("=I", name, 24)[0])


def network_of(key: Key) -> bytes | str:
    """Return what one sender cannot change at will: an IPv4 address, an IPv6 network (/64).

    Ports cost nobody anything, nor the addresses of an IPv6 network. Where the key is no packed
    name: the address.
    """
    if not isinstance(key, bytes):
        return key[0]
    return key[4:8] if len(key) == 16 else key[8:16]


def _without_wildcards(hosts: tuple[str, ...]) -> tuple[str, ...]:
    # A socket per address, so that replies leave from the address that was hit.
    expanded: list[str] = []
    for host in hosts:
        address = ipaddress.ip_address(host)
        for local in _local_addresses(address.version) if address.is_unspecified else [host]:
            if local not in expanded:
                expanded.append(local)
    return tuple(expanded)


def _local_addresses(version: int) -> list[str]:
    import psutil

    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == family and "%" not in entry.address
    ]
