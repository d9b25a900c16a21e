"""Transport-wide feedback: when each packet of a transport arrived. Writer and reader.

draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from actors.relay.wire.rtcp import RTPFB, TRANSPORT_CC
from actors.relay.wire.rtp import unwrap

_TICKS_PER_SECOND = 4000
"""Deltas count quarter milliseconds."""
_REFERENCE_TICKS = 256
"""The reference time counts 64 ms."""
_MOST_PACKETS = 600
"""Statuses in one message; keeps it inside a datagram."""
_MOST_KEPT = 4096
_NOT_RECEIVED, _SMALL, _LARGE = 0, 1, 2


class ArrivalLog:
    """Collects arrivals of one transport and writes feedback messages about them.

    Bounded: at most 4,096 arrivals between two messages, later ones are left out.
    """

    __slots__ = ("_arrivals", "_count", "_highest", "_next", "_origin")

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}
        self._highest = -1
        self._next = -1
        self._count = 0
        self._origin = 0.0

    def arrived(self, sequence: int, now: float) -> None:
        """Note the arrival of the packet with this 16-bit transport-wide number."""
        if self._highest < 0:
            self._highest = self._next = sequence + 0x10000
            self._origin = now
        extended = unwrap(sequence, self._highest, 16)
        if extended > self._highest:
            self._highest = extended
        if len(self._arrivals) < _MOST_KEPT:
            self._arrivals.setdefault(extended, now)

    def messages(self, sender: int, media: int) -> list[bytes]:
        """Return the feedback due, oldest first, and forget what it covers."""
        if not self._arrivals:
            return []
        arrivals = sorted(self._arrivals.items())
        self._arrivals.clear()
        # What came late was reported as lost already; only report it if it is close.
        first = max(min(arrivals[0][0], self._next), self._highest - 8 * _MOST_PACKETS)
        messages: list[bytes] = []
        index = 0
        while index < len(arrivals) and arrivals[index][0] < first:
            index += 1
        while index < len(arrivals):
            first = max(first, min(arrivals[index][0], self._next))
            if arrivals[index][0] - first >= _MOST_PACKETS:
                first = arrivals[index][0]
            message, index, first = self._message(sender, media, arrivals, index, first)
            messages.append(message)
        self._next = self._highest + 1
        return messages

    def _message(
        self,
        sender: int,
        media: int,
        arrivals: list[tuple[int, float]],
        index: int,
        first: int,
    ) -> tuple[bytes, int, int]:
        # Ticks count from this log's first arrival, so that they stay small and never negative.
        tick = max(0, int((arrivals[index][1] - self._origin) * _TICKS_PER_SECOND))
        reference = tick // _REFERENCE_TICKS
        tick = reference * _REFERENCE_TICKS
        statuses: list[int] = []
        deltas = bytearray()
        expected = first
        while index < len(arrivals):
            sequence, arrival = arrivals[index]
            if sequence - first >= _MOST_PACKETS:
                break
            if expected < sequence and expected < self._next:
                # What lies between was told of before, and has arrived for all that is known here.
                break
            delta = int((arrival - self._origin) * _TICKS_PER_SECOND) - tick
            if not -32768 <= delta <= 32767:
                break
            statuses.extend([_NOT_RECEIVED] * (sequence - expected))
            if 0 <= delta <= 255:
                statuses.append(_SMALL)
                deltas.append(delta)
            else:
                statuses.append(_LARGE)
                deltas += struct.pack("!h", delta)
            tick += delta
            expected = sequence + 1
            index += 1
        chunks = _chunks(statuses)
        body = struct.pack(
            "!IIHHI",
            sender,
            media,
            first & 0xFFFF,
            len(statuses),
            (reference & 0xFFFFFF) << 8 | self._count & 0xFF,
        )
        body += struct.pack(f"!{len(chunks)}H", *chunks) + deltas
        self._count += 1
        padding = -len(body) % 4
        head = 0x80 | TRANSPORT_CC
        if padding:
            head |= 0x20
            body += bytes(padding - 1) + bytes([padding])
        return struct.pack("!BBH", head, RTPFB, len(body) // 4) + body, index, expected


def _chunks(statuses: list[int]) -> list[int]:
    """Encode statuses as run-length chunks (§3.1.3) where they repeat, two-bit vectors else."""
    chunks: list[int] = []
    position = 0
    while position < len(statuses):
        status = statuses[position]
        end = position + 1
        while end < len(statuses) and statuses[end] == status and end - position < 0x1FFF:
            end += 1
        if end - position >= 7 or end == len(statuses):
            chunks.append(status << 13 | end - position)
            position = end
            continue
        chunk = 0xC000
        for shift, symbol in enumerate(statuses[position : position + 7]):
            chunk |= symbol << 12 - 2 * shift
        chunks.append(chunk)
        position += 7
    return chunks


class ArrivalReader:
    """Reads the feedback of one peer.

    Its reference time has 24 bits and wraps every twelve days, of its machine's clock and not of
    the call's: each is taken to be the nearest to the one before.
    """

    __slots__ = ("_reference",)

    def __init__(self) -> None:
        self._reference = 0

    def read(self, body: memoryview) -> Iterator[tuple[int, float | None]]:
        """Read a feedback body: (16-bit number, arrival in seconds or None if lost).

        Arrival times count from an origin of the writer's own, and may be negative. Stops where the
        message does not fit; the work is bounded by `_MOST_KEPT` statuses, whatever it claims.
        """
        if len(body) < 16:
            return iter(())
        first, count, reference = struct.unpack_from("!HHI", body, 8)
        self._reference = unwrap(reference >> 8, self._reference, 24)
        return _arrivals(body, first, count, self._reference * _REFERENCE_TICKS)


def _arrivals(
    body: memoryview, first: int, count: int, ticks: int
) -> Iterator[tuple[int, float | None]]:
    statuses: list[int] = []
    position = 16
    count = min(count, _MOST_KEPT)
    while len(statuses) < count:
        if position + 2 > len(body):
            return
        chunk = body[position] << 8 | body[position + 1]
        position += 2
        if not chunk & 0x8000:
            statuses.extend([chunk >> 13 & 3] * min(chunk & 0x1FFF, count - len(statuses)))
            if not chunk & 0x1FFF:
                return
        elif chunk & 0x4000:
            statuses.extend(chunk >> shift & 3 for shift in range(12, -1, -2))
        else:
            statuses.extend(chunk >> shift & 1 for shift in range(13, -1, -1))
    for offset in range(count):
        status = statuses[offset]
        number = first + offset & 0xFFFF
        if status == _SMALL and position < len(body):
            ticks += body[position]
            position += 1
        elif status == _LARGE and position + 1 < len(body):
            (delta,) = struct.unpack_from("!h", body, position)
            ticks += delta
            position += 2
        elif status == _NOT_RECEIVED:
            yield number, None
            continue
        else:
            return
        yield number, ticks / _TICKS_PER_SECOND
