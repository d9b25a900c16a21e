"""A bottleneck on somebody's downlink: the line itself, and a UDP proxy that has one."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]

MOST_PEERS = 32
"""Sockets of one client that are served; a browser has one for each local address."""


class Downlink:
    """A line of some rate with 200 ms of queue, delay and seeded random loss. It keeps no clock."""

    def __init__(self, bitrate: float, *, loss: float, delay: float, seed: int = 1) -> None:
        """Take bits per second, the fraction lost, and seconds."""
        self.bitrate = bitrate
        self.loss = loss
        self.delay = delay
        self._free = 0.0
        self._random = random.Random(seed)

    def arrival(self, octets: int, now: float) -> float | None:
        """Return when a datagram gets through; None when it is lost."""
        start = max(now, self._free)
        if start - now > 0.2 or self._random.random() < self.loss:
            return None
        self._free = start + octets * 8 / self.bitrate
        return self._free + self.delay


class Shaper:
    """Stands between one client and a media port: what comes down goes through `line`.

    A client that is told this address instead of the port's sends here, so nothing of the machine's
    network is changed. `close` ends it.
    """

    def __init__(self, target: Address) -> None:
        """Listen on loopback, for what is to go to `target`."""
        self.target = target
        self.line: Downlink | None = None
        """`None`: everything gets through at once."""
        self.cut = False
        """Whether nothing gets through, in either direction."""
        self.lost = 0
        self.passed = 0
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._near = self._socket()
        self._near.bind(("127.0.0.1", 0))
        self._far: dict[Address, socket.socket] = {}
        """The port's owner tells clients apart by address, so each has a socket of its own."""
        self._loop.add_reader(self._near.fileno(), self._up)

    @property
    def port(self) -> int:
        """Where the client is to send."""
        port: int = self._near.getsockname()[1]
        return port

    def close(self) -> None:
        """Stop; harmless when closed."""
        if not self._closed:
            self._closed = True
            for each in (self._near, *self._far.values()):
                self._loop.remove_reader(each.fileno())
                each.close()

    def rebind(self) -> None:
        """Be a NAT that forgets: every client comes from another port, and the old ones are dead.

        What comes up next opens the new one, as with a NAT; until then nothing comes down.
        """
        for each in self._far.values():
            self._loop.remove_reader(each.fileno())
            each.close()
        self._far.clear()

    @staticmethod
    def _socket() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        return made

    def _up(self) -> None:
        with suppress(OSError):
            data, client = self._near.recvfrom(2048)
            far = self._far.get(client) or self._meet(client)
            if far is not None and not self.cut:
                far.send(data)

    def _meet(self, client: Address) -> socket.socket | None:
        if len(self._far) >= MOST_PEERS:
            return None
        far = self._far[client] = self._socket()
        far.connect(self.target)
        self._loop.add_reader(far.fileno(), self._down, far, client)
        return far

    def _down(self, far: socket.socket, client: Address) -> None:
        # An error says that the port is gone; who sends there finds out by other means.
        with suppress(OSError):
            data = far.recv(2048)
            now = self._loop.time()
            arrival = now if self.line is None else self.line.arrival(len(data), now)
            if arrival is None or self.cut:
                self.lost += 1
            elif arrival <= now:
                self._deliver(data, client)
            else:
                self._loop.call_at(arrival, self._deliver, data, client)

    def _deliver(self, data: bytes, client: Address) -> None:
        if not self._closed:
            with suppress(OSError):
                self._near.sendto(data, client)
                self.passed += 1
