"""A picture that somebody sends: begun with key frames, passed on by frames, kept for repairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.sdp.codec import Codec, CodecName
from actors.relay.wire.h264 import starts_key_frame
from actors.relay.wire.redundancy import Redundant
from actors.relay.wire.rtp import SILENT, Body
from actors.relay.wire.vp8 import Vp8, frame_height, parse_vp8

if TYPE_CHECKING:
    from actors.relay.forwarding.publication import Publication

_HISTORY = 512
_HISTORY_MASK = _HISTORY - 1
_HISTORY_SECONDS = 1.0
_MOST_HELD = 40
"""Packets of one frame that leave together."""


class Picture(Layer):
    """One layer of a camera or a screen. Its packets wait for the rest of their frame."""

    __slots__ = ("_frame", "_has_descriptor", "history")

    def __init__(self, publication: Publication, ssrc: int, codec: Codec, rid: str) -> None:
        super().__init__(publication, ssrc, codec, rid)
        self._has_descriptor = codec.name is CodecName.VP8
        self._frame: list[Packet] = []
        """Packets of the present frame that wait for its last."""
        self.history: list[Packet | None] = [None] * _HISTORY
        """The last packets by the low bits of their sequence."""

    def deliver(
        self,
        data: memoryview,
        body: Body,
        sequence: int,
        timestamp: int,
        marker: int,
        now: float,
        level: int,
        redundant: Redundant | None,
    ) -> None:
        del level, redundant
        start, end = body.payload, body.payload_end
        vp8: Vp8 | None = None
        if self._has_descriptor:
            vp8 = parse_vp8(data, start, end)
            if vp8 is None:
                self.publication.transport.drops.malformed += 1
                self.leave_out(sequence, timestamp, now)
                return
            begins = vp8.key
        else:
            begins = starts_key_frame(data, start, end)
        if begins:
            self._note_key_frame(sequence)
            if vp8 is not None:
                self.height = frame_height(data, start, end, vp8) or self.height
        publication = self.publication
        starts = begins and sequence == self.highest
        if not publication.open and not (starts and self.takes_over(now)):
            return
        if starts and self.waiting:
            self.begin_waiting(sequence, timestamp, vp8, now)
        if self.slots:
            self._hold(Packet(sequence, timestamp, marker, bytes(data[start:end]), vp8, now))

    def leave_out(self, sequence: int, timestamp: int | None, now: float) -> None:
        """Close up what is sent over a packet that is not passed on.

        One that came late has left a hole, which is filled by a packet without a payload: browsers
        would ask for what is missing, and decode nothing behind it where pictures are told by
        their sequence alone (H.264).
        """
        if sequence == self.highest:
            super().leave_out(sequence, timestamp, now)
        elif timestamp is not None and self.publication.open and self.slots:
            self._hold(Packet(sequence, timestamp, 0, b"", None, now))

    def _hold(self, packet: Packet) -> None:
        """Keep a packet for repairs, and until its frame is complete or the wake-up over."""
        sequence, _, marker, _, _, now = packet
        if sequence > self.highest - _HISTORY:
            # One that comes later still has no place beside those that are newer.
            self.history[sequence & _HISTORY_MASK] = packet
        frame = self._frame
        if not frame:
            self.publication.transport.outlet.departures.held.append(self)
        frame.append(packet)
        if marker or len(frame) >= _MOST_HELD:
            self.pass_on(now)

    def _note_key_frame(self, sequence: int) -> None:
        self.keys_seen += 1
        self.last_key = max(self.last_key, sequence)
        if sequence == self.highest or not self.waiting:
            # One that came late, as a repair, starts nobody: who waits needs another.
            self.key_wanted = False

    def pass_on(self, now: float) -> None:
        """Forward what is held of the present frame: it is complete, or nothing more has come."""
        if self._frame:
            frame = Frame(self._frame)
            self._frame = []
            if self.publication.open:
                for slot in self.slots:
                    slot.forward(frame, SILENT, now)

    def kept(self, sequence: int, now: float) -> Packet | None:
        """Return a packet of the last second, for a subscriber that missed it."""
        kept = self.history[sequence & _HISTORY_MASK]
        if kept is None or kept.sequence != sequence or now - kept.at > _HISTORY_SECONDS:
            return None
        return kept

    def is_beyond_repair(self, sequence: int, now: float) -> bool:
        """Whether pictures wait for a packet that is not kept any more nor still to come."""
        return (
            sequence >= self.last_key
            and self.kept(sequence, now) is None
            and (self.missing is None or sequence not in self.missing)
        )
