"""How one slot numbers what it sends: sequence, time stamp and VP8 counters that never bend.

A subscriber's decoder sees one unbroken stream, whoever feeds the slot. Numbers inside are plain
integers that do not wrap (callers mask them), so that comparisons need no modular arithmetic.
"""

from __future__ import annotations

from collections import deque

from actors.relay.wire.rtp import ahead
from actors.relay.wire.vp8 import Vp8

MAX_DROPOUT = 3000
"""Numbers in a row that may be missing before what comes is a new feed (RFC 3550 §A.1)."""
TURNS = 8
"""The last bits of a picture's time stamp say whose turn it is, by turns of so many people: what a
widget is told of a seat may come later than the seat's next picture. The clock ticks every 11 µs; a
picture is at most 78 µs off its time."""
_SENT_FOR_A_HOLE = 4
"""Packets that a source has to send for each number that it leaves out."""
_MOST_OWED = MAX_DROPOUT * _SENT_FOR_A_HOLE
# How many relay-made gaps a late packet may lie behind; older ones are dropped.
_REMEMBERED_STEPS = 32
# Stands for the offset of a sequence that was left out; no real offset is this large.
_DROPPED = -(1 << 62)


class Numbering:
    """Maps the numbers of whoever feeds a slot to the slot's own.

    The protocol is: `switch` on the first packet of a new feed, then `sequence_of` for every
    packet and `skip` for each one that is dropped on purpose.
    """

    __slots__ = (
        "_holes",
        "_holes_since",
        "_steps",
        "clock_rate",
        "first",
        "highest",
        "last_level",
        "last_picture",
        "last_timestamp",
        "level_offset",
        "mask",
        "next_sequence",
        "offset",
        "picture_offset",
        "promised",
        "sent",
        "start_timestamp",
        "started",
        "step",
        "timestamp_offset",
        "turn",
        "turns",
    )

    def __init__(
        self,
        clock_rate: int,
        now: float,
        first_sequence: int,
        first_timestamp: int,
        *,
        turns: int = 1,
    ) -> None:
        """Start at these; `first_sequence` below 2¹⁵ keeps the rollover counter unambiguous.

        `turns`: `TURNS` for pictures, whose time stamps say whose they are.
        """
        self.clock_rate = clock_rate
        self.started = now
        self.start_timestamp = first_timestamp
        self.next_sequence = first_sequence
        self.last_timestamp = first_timestamp
        self.sent = False
        self.offset = 0
        self.first = 0
        """The first sequence of the present feed; older ones belong to before the switch."""
        self.step = 0
        """Sequences from here on use `offset`; older ones use the remembered steps."""
        self.highest = 0
        self.timestamp_offset = 0
        self.last_picture = 0
        self.last_level = 0
        self.picture_offset = 0
        self.level_offset = 0
        self.turns = turns
        self.turn = first_timestamp % turns
        """Whose turn it is: the last bits of every time stamp. It begins anywhere, so that a seat's
        first turns by two transports differ."""
        self.mask = 0x100000000 - turns
        """The others; see `stamp`."""
        self.promised: int | None = None
        """The time stamp that a message named for the next feed; it begins no earlier."""
        self._steps: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_STEPS)
        self._holes = _MOST_OWED
        """How many numbers may be left out yet, in packets that had to be sent for them; those sent
        since `_holes_since` add to it."""
        self._holes_since = first_sequence

    def timestamp_at(self, now: float) -> int:
        """Return the time stamp a new feed would start with at `now`: always after the last."""
        return self.next_stamp(self.start_timestamp + int((now - self.started) * self.clock_rate))

    def stamp(self, timestamp: int) -> int:
        """Return the outgoing time stamp of an incoming one; `Slot.forward` has its own."""
        return timestamp + self.timestamp_offset & self.mask | self.turn

    def next_stamp(self, stamp: int) -> int:
        """Return what comes nearest to `stamp` and after the last that was sent."""
        stamp = stamp & self.mask | self.turn
        if self.sent and not ahead(stamp, self.last_timestamp):
            stamp = self.last_timestamp + self.turns & self.mask | self.turn
        return stamp

    def tell(self, now: float, stamp: int) -> None:
        """Note what a sender report says of `now`; whoever feeds next goes on by that clock."""
        self.started = now
        self.start_timestamp = stamp

    def promise(self, now: float) -> int:
        """Choose the time stamp from which the next person's feed shall hold, and keep to it."""
        self.turn = (self.turn + 1) % self.turns
        self.promised = self.timestamp_at(now)
        return self.promised

    def advance(self, stamp: int) -> None:
        """Note a time stamp that was sent; they only move forward."""
        if (stamp - self.last_timestamp) & 0xFFFFFFFF < 0x80000000 or not self.sent:
            self.last_timestamp = stamp
            self.sent = True

    def switch(
        self, sequence: int, timestamp: int, stamp: int, picture: int = 0, level: int = 0
    ) -> None:
        """Let the packet (`sequence`, `timestamp`, VP8 counters) go on at `stamp`."""
        self.promised = None
        self.highest = sequence - 1
        self._begin(sequence)
        self.timestamp_offset = stamp - timestamp
        self.picture_offset = self.last_picture + 1 - picture
        self.level_offset = self.last_level + 1 - level

    def renumber(self, view: memoryview, start: int, vp8: Vp8, *, newest: bool) -> None:
        """Rewrite picture id and TL0PICIDX of the payload at `start`, whichever there are."""
        if vp8.picture_bits:
            position = start + vp8.picture_position
            picture = vp8.picture + self.picture_offset & (1 << vp8.picture_bits) - 1
            if vp8.picture_bits == 15:
                view[position] = 0x80 | picture >> 8
                position += 1
            view[position] = picture & 0xFF
            if newest:
                self.last_picture = picture
        if vp8.level_position:
            level = vp8.level + self.level_offset & 0xFF
            view[start + vp8.level_position] = level
            if newest:
                self.last_level = level

    def sequence_of(self, sequence: int) -> int | None:
        """Return the outgoing sequence of an incoming one; None when it is from before."""
        missing = sequence - self.highest - 1
        if missing < 0:
            return self.late_sequence_of(sequence)
        if missing and not self._may_leave_out(missing):
            self._begin(sequence)
        self.highest = sequence
        out = sequence + self.offset
        self.next_sequence = out + 1
        return out

    def _begin(self, sequence: int) -> None:
        """Go on without a hole at `sequence`; what the source numbered lower is from before."""
        self.offset = self.next_sequence - sequence
        self.first = self.step = sequence
        self._steps.clear()

    def _may_leave_out(self, missing: int) -> bool:
        """Whether a hole of the source's may become one of this slot's.

        A receiver guesses how often the sequence has wrapped (RFC 3711 §3.3.1): once it has missed
        2¹⁵ numbers it is wrong for good, whoever feeds the slot. So what a source leaves out,
        which costs it nothing, may be a quarter of what was sent and `MAX_DROPOUT` beyond; a
        source that jumps further goes on without a hole, as a new feed. (What is sent itself is
        bounded by the pace of one source and by how long a silent subscriber is sent anything.)
        """
        left = self._holes + self.next_sequence - self._holes_since
        self._holes_since = self.next_sequence
        self._holes = min(_MOST_OWED, left)
        if missing * _SENT_FOR_A_HOLE > self._holes:
            return False
        self._holes -= missing * _SENT_FOR_A_HOLE
        self._holes_since += missing
        return True

    def late_sequence_of(self, sequence: int) -> int | None:
        """Look up without going on: for late packets and for retransmissions."""
        if sequence < self.first:
            return None
        if sequence >= self.step:
            return sequence + self.offset
        for start, offset in reversed(self._steps):
            if sequence >= start:
                return None if offset == _DROPPED else sequence + offset
        return None

    def incoming_of(self, out: int) -> int | None:
        """Return which incoming sequence went out as `out`; None when it is not of this feed."""
        sequence = out - self.offset
        if sequence >= self.step:
            return sequence if sequence <= self.highest else None
        end = self.step
        for start, offset in reversed(self._steps):
            if offset != _DROPPED:
                sequence = out - offset
                if start <= sequence < end:
                    return sequence
            end = start
        return None

    def skip(self, sequence: int) -> None:
        """Leave out a packet on purpose, without a hole in the outgoing sequence.

        Only the newest can be closed up; a late one's place is already taken by a hole.
        """
        missing = sequence - self.highest - 1
        if missing < 0:
            return
        if missing and not self._may_leave_out(missing):
            self.highest = sequence
            self._begin(sequence + 1)
            return
        if sequence != self.step or not self._steps:
            self._steps.append((self.step, self.offset))
            self._steps.append((sequence, _DROPPED))
        # Else one gap with what was left out just before: padding comes in rows.
        self.step = sequence + 1
        # A hole below the skipped packet stays: later numbers move down by one only.
        self.next_sequence = sequence + self.offset
        self.offset -= 1
        self.highest = sequence
