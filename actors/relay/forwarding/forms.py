"""A packet of redundant audio in the forms that its receivers take (RFC 2198).

It is passed on as it is to those who accept it. For the rest the newest frame is unwrapped, and the
earlier ones stand in for packets that were lost on the way in.
"""

from __future__ import annotations

from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.wire.redundancy import Redundant, renumbered, stand_ins


class Forms:
    """One redundant packet in the forms its receivers need, each made at first need and once.

    Positions in `found` count in `data`, which need not last longer than the call that passes
    the packet on: what a form holds is a copy.
    """

    __slots__ = (
        "_at",
        "_data",
        "_found",
        "_marker",
        "_newest",
        "_own",
        "_sequence",
        "_stand_ins",
        "_timestamp",
        "_wrapped",
    )

    def __init__(
        self,
        data: memoryview,
        found: Redundant,
        sequence: int,
        timestamp: int,
        marker: int,
        payload_type: int,
        now: float,
    ) -> None:
        """`payload_type` is the publisher's number for the codec inside."""
        self._data = data
        self._found = found
        self._sequence = sequence
        self._timestamp = timestamp
        self._marker = marker
        self._own = payload_type
        self._at = now
        self._wrapped: dict[int, Frame] = {}
        self._newest: Frame | None = None
        self._stand_ins: list[Frame] | None = None

    @property
    def oldest(self) -> int:
        """The sequence of the first frame that is repeated: each packet has one of its own."""
        return self._sequence - len(self._found.headers) + 1

    def wrapped(self, payload_type: int) -> Frame:
        """Return the packet as it came, for receivers that number the codec so."""
        frame = self._wrapped.get(payload_type)
        if frame is None:
            headers = self._found.headers
            payload = bytes(self._data[headers[0] : self._found.primary.end])
            if payload_type != self._own:
                payload = renumbered(payload, headers, headers[0], payload_type)
            frame = self._wrapped[payload_type] = self._frame(
                self._sequence, self._timestamp, self._marker, payload
            )
        return frame

    def newest(self) -> Frame:
        """Return the newest frame by itself, for receivers that accept no redundancy."""
        if self._newest is None:
            block = self._found.primary
            payload = bytes(self._data[block.start : block.end])
            self._newest = self._frame(self._sequence, self._timestamp, self._marker, payload)
        return self._newest

    def stand_ins(self, after: int) -> list[Frame]:
        """Return the earlier frames whose sequence is above `after`, oldest first."""
        if after >= self._sequence - 1:
            # Nothing was lost on the way in, as nearly always.
            return []
        if self._stand_ins is None:
            self._stand_ins = [
                self._frame(sequence, stamp, 0, bytes(self._data[block.start : block.end]))
                for sequence, stamp, block in stand_ins(
                    self._found, self._sequence, self._timestamp
                )
            ]
        return [frame for frame in self._stand_ins if frame.packets[0].sequence > after]

    def _frame(self, sequence: int, timestamp: int, marker: int, payload: bytes) -> Frame:
        return Frame((Packet(sequence, timestamp, marker, payload, None, self._at),))
