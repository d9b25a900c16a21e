"""Packets on their way out: gathered while one wake-up lasts, then sent in as few calls as go.

Slots write and protect packets in the cells. Those of one frame for one subscriber are one
message: the kernel cuts it apart (UDP segmentation offload), which costs less than half of sending
each. Where the system has no sendmmsg each packet is sent by itself; where it refuses to cut,
cutting is given up for good.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

from actors.relay.network import mmsg
from actors.relay.network.pylibsrtp_private import Cells

if TYPE_CHECKING:
    from actors.relay.network.ice import Address
    from actors.relay.network.port import Socket

CELLS = 256
MOST_MESSAGES = 128
MOST_DATAGRAMS = 48
"""In one message: the kernel takes 64, and 65,507 bytes."""
_REFUSALS = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP})
"""What a kernel, a driver or a path answers that cannot cut."""


class Held(Protocol):
    """Holds packets back until their frame is complete, or the wake-up over."""

    def pass_on(self, now: float) -> None: ...


class Departures:
    """The cells of one relay, shared by all of its subscribers. Emptied at each wake-up's end."""

    __slots__ = (
        "_messages",
        "_outgoing",
        "_socket",
        "cells",
        "cuts",
        "held",
        "used",
    )

    def __init__(self, *, batched: bool = mmsg.available) -> None:
        """`batched` false sends every packet by itself, as systems without sendmmsg do."""
        self.cells = Cells(CELLS)
        self.used = 0
        """Cells in use; the next packet is written to this one."""
        self.held: list[Held] = []
        """What has packets of a frame that is not complete yet."""
        self.cuts = batched
        """Whether several packets may be one message."""
        self._socket: Socket | None = None
        """Where all messages at hand leave from."""
        self._messages: list[tuple[Address, int, list[int]]] = []
        self._outgoing = (
            mmsg.Outgoing(self.cells.address, CELLS, MOST_MESSAGES) if batched else None
        )

    def room_for(self, packets: int) -> int:
        """Return the first of so many free cells; sends what is at hand if it must."""
        if self.used + packets > CELLS or len(self._messages) + packets > MOST_MESSAGES:
            self.send()
        return self.used

    def add(self, path: Address, sizes: list[int]) -> None:
        """Take packets of these sizes, which lie in the next cells, for one subscriber."""
        if path.socket is not self._socket:
            if self._messages:
                # What was just written moves on with `used`; it is not part of what is sent.
                self._send_messages()
            self._socket = path.socket
        count = len(sizes)
        cell = self.used
        self.used = cell + count
        outgoing = self._outgoing
        if outgoing is None or path.name is None:
            self._messages.append((path, cell, sizes))
            return
        lengths = outgoing.lengths
        place = 2 * cell + 1
        for size in sizes:
            lengths[place] = size
            place += 2
        if count == 1:
            outgoing.add(path.name, cell, 1, 0)
            self._messages.append((path, cell, sizes))
            return
        begin = 0
        while begin < count:
            end = self._run(sizes, begin) if self.cuts else begin + 1
            outgoing.add(path.name, cell + begin, end - begin, sizes[begin])
            self._messages.append((path, cell + begin, sizes[begin:end]))
            begin = end

    def _run(self, sizes: list[int], begin: int) -> int:
        """Return where the longest message ends that may begin here: only its last is shorter."""
        size = sizes[begin]
        end = begin + 1
        limit = min(len(sizes), begin + MOST_DATAGRAMS)
        while end < limit and sizes[end] == size:
            end += 1
        if end < limit and sizes[end] < size:
            end += 1
        return end

    def depart(self, now: float) -> None:
        """Pass on the frames that are held, then send everything."""
        if self.held:
            held, self.held = self.held, []
            for each in held:
                each.pass_on(now)
        if self._messages:
            self.send()

    def send(self) -> None:
        """Send what is at hand and free the cells."""
        self._send_messages()
        self.used = 0

    def _send_messages(self) -> None:
        socket, messages, outgoing = self._socket, self._messages, self._outgoing
        if socket is not None and outgoing is not None and outgoing.count:
            descriptor = socket.fileno()
            # What the process read before it stood still is too late when it goes on.
            done, count = 0, 0 if socket.in_doubt() else outgoing.count
            while done < count:
                sent = outgoing.send(descriptor, done)
                if sent > 0:
                    done += sent
                    continue
                self._refused(messages[done], -sent)
                done += 1
            outgoing.count = 0
        else:
            for path, cell, sizes in messages:
                self._send_singly(path, cell, sizes)
        messages.clear()

    def _refused(self, message: tuple[Address, int, list[int]], number: int) -> None:
        """A message was not sent: give up cutting if that is why, else count it."""
        path, cell, sizes = message
        if len(sizes) > 1 and number in _REFUSALS:
            self.cuts = False
            self._send_singly(path, cell, sizes)
            return
        for _ in sizes:
            path.socket.failed(OSError(number, "sendmmsg"))

    def _send_singly(self, path: Address, cell: int, sizes: list[int]) -> None:
        view = self.cells.view
        start = cell * mmsg.DATAGRAM_BYTES
        for size in sizes:
            path.socket.send(view[start : start + size], path.endpoint)
            start += mmsg.DATAGRAM_BYTES
