"""What one synthetic peer receives: counts, delays, and the feedback a browser would send.

Delays are taken from the kernel's own time of arrival, so that the peer may look seldom and cost
little. Which packet it is follows from the sequence number, once one packet of the stream has been
decrypted and read; every fiftieth is decrypted again to be sure.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from actors.relay.network.mmsg import LENGTH_FIRST, LENGTH_STEP, Received
from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.wire import rtcp
from actors.relay.wire.rtp import HEADER, body_of, unwrap
from actors.relay.wire.transport_feedback import ArrivalLog
from benchmarks.histogram import Histogram
from benchmarks.media.peer import Peer
from benchmarks.media.source import MAGIC, MARK, Track

CELLS = 64
VERIFY_EVERY = 50
NACK_SHARE = 0.01
"""Of the video packets, asked for again although they came."""
REPORT_SECONDS = 1.0
FEEDBACK_SECONDS = 0.1


@dataclass(slots=True, eq=False)
class Stream:
    """One SSRC that comes in."""

    ssrc: int
    track: Track | None = None
    offset: int = 0
    """Incoming sequence less the sender's, modulo 2¹⁶."""
    first: int = -1
    highest: int = -1
    received: int = 0
    """Since the round began."""
    total: int = 0
    counter_at: int = -1
    """Where the transport-wide number lies in its packets; -1 when there is none."""
    wrong: int = 0
    """Packets that were not what their sequence number promised."""
    asked: set[int] = field(default_factory=set)
    """Which were asked for again, of a peer that sends them again under the same SSRC."""

    def expected(self) -> int:
        return self.highest - self.first + 1 if self.first >= 0 else 0


@dataclass(slots=True)
class Counts:
    """What one round brought."""

    packets: int = 0
    repaired: int = 0
    lost: int = 0
    """Sequence numbers that never came."""
    wrong: int = 0
    undecryptable: int = 0
    rtcp: int = 0
    key_requests: int = 0

    def add(self, other: Counts) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Sink:
    """The receiving half of one peer, looked after by the pump."""

    def __init__(
        self,
        peer: Peer,
        tracks: Mapping[int, Track],
        *,
        repair_ssrcs: set[int],
        counter_id: int | None,
        on_key_frame: Callable[[int], None],
    ) -> None:
        """`tracks` are all publishers' by number; `on_key_frame` gets the SSRC of a PLI or FIR.

        `counter_id` is the header extension of transport-wide numbers; None sends no feedback.
        """
        self.peer = peer
        self.tracks = tracks
        self.streams: dict[int, Stream] = {}
        self.delays = Histogram()
        self.counts = Counts()
        self.next_look = 0.0
        self.report_due = time.monotonic() + random.random()
        self.feedback_due = time.monotonic() + FEEDBACK_SECONDS * random.random()
        self._repair_ssrcs = repair_ssrcs
        self._counter_id = counter_id
        self._on_key_frame = on_key_frame
        self._arrivals = ArrivalLog()
        self._random = random.Random(1)
        self._nacks: dict[int, list[int]] = {}
        self._own_ssrc = 1 + random.randrange(1 << 31)
        self.remote_reports: dict[int, tuple[int, float]] = {}

    def begin(self) -> None:
        """Start counting anew; streams stay known."""
        self.delays = Histogram()
        self.counts = Counts()
        for stream in self.streams.values():
            stream.first = stream.highest = -1
            stream.received = stream.wrong = 0
            stream.asked.clear()

    def finish(self) -> Counts:
        """Return what came since `begin`."""
        for stream in self.streams.values():
            if stream.ssrc not in self._repair_ssrcs:
                self.counts.lost += max(0, stream.expected() - stream.received)
                self.counts.wrong += stream.wrong
        return self.counts

    def look(self, buffers: list[Buffer], received: Received) -> int:
        """Take what has come, a bounded number of datagrams; returns how many."""
        got = received.receive(self.peer.socket.fileno())
        lengths = received.lengths
        for index in range(got):
            size = lengths[LENGTH_STEP * index + LENGTH_FIRST]
            buffer = buffers[index]
            first = buffer.view[0] if size > 1 else 255
            if not 127 < first < 192:
                self.peer.receive(bytes(buffer.view[:size]))
            elif 192 <= buffer.view[1] <= 223:
                self._rtcp(buffer, size)
            else:
                self._rtp(buffer, size, received.timestamp(index))
        return got

    def _rtp(self, buffer: Buffer, size: int, at: float) -> None:
        _, _, sequence, _, ssrc = HEADER.unpack_from(buffer.view)
        stream = self.streams.get(ssrc)
        if stream is None:
            stream = self.streams[ssrc] = Stream(ssrc)
            self._find_counter(stream, buffer, size)
        if stream.counter_at >= 0:
            view = buffer.view
            self._arrivals.arrived(view[stream.counter_at] << 8 | view[stream.counter_at + 1], at)
        if ssrc in self._repair_ssrcs:
            self.counts.repaired += 1
            return
        if stream.first < 0:
            stream.first = stream.highest = sequence + 0x10000
        extended = unwrap(sequence, stream.highest, 16)
        if extended in stream.asked:
            stream.asked.remove(extended)
            self.counts.repaired += 1
            return
        self.counts.packets += 1
        stream.total += 1
        if extended > stream.highest:
            stream.highest = extended
        if extended >= stream.first:
            stream.received += 1
        if stream.track is None or stream.total % VERIFY_EVERY == 0:
            self._verify(stream, buffer, size, sequence)
        track = stream.track
        if track is None:
            return
        self.delays.record(max(0.0, at - track.sent_at[sequence - stream.offset & 0xFFFF]))
        if not track.audio and self._random.random() < NACK_SHARE:
            self._nacks.setdefault(ssrc, []).append(sequence)
            if not self._repair_ssrcs:
                stream.asked.add(extended)

    def _find_counter(self, stream: Stream, buffer: Buffer, size: int) -> None:
        body = body_of(buffer.view, size)
        if body is None or self._counter_id is None:
            return
        position = body.extensions
        while position < body.extensions_end:
            element = buffer.view[position]
            if element >> 4 == self._counter_id:
                stream.counter_at = position + 1
                return
            position += 1 if element == 0 else (element & 0x0F) + 2

    def _verify(self, stream: Stream, buffer: Buffer, size: int, sequence: int) -> None:
        """Decrypt the packet and read whose it is."""
        plain = self.peer.inbound.unprotect(buffer, size)
        body = body_of(buffer.view, plain) if plain else None
        if body is None:
            self.counts.undecryptable += 1
            return
        magic, number, theirs = MARK.unpack_from(buffer.view, body.payload_end - MARK.size)
        track = self.tracks.get(number) if magic == MAGIC else None
        offset = sequence - theirs & 0xFFFF
        if track is None:
            stream.wrong += 1
            return
        if track is not stream.track or offset != stream.offset:
            if stream.track is not None:
                stream.wrong += 1
            stream.track, stream.offset = track, offset

    def _rtcp(self, buffer: Buffer, size: int) -> None:
        plain = self.peer.inbound.unprotect_rtcp(buffer, size)
        self.counts.rtcp += 1
        for part in rtcp.parts_of(memoryview(bytes(buffer.view[:plain]))):
            if part.kind == rtcp.PSFB and part.form == rtcp.PLI and len(part.body) >= 8:
                self._key_frame(int.from_bytes(part.body[4:8], "big"))
            elif part.kind == rtcp.PSFB and part.form == rtcp.FIR and len(part.body) >= 16:
                self._key_frame(int.from_bytes(part.body[8:12], "big"))
            elif part.kind == rtcp.SR:
                info = rtcp.sender_info(part.body)
                if info is not None:
                    self.remote_reports[info.ssrc] = (
                        info.ntp >> 16 & 0xFFFFFFFF,
                        time.monotonic(),
                    )

    def _key_frame(self, ssrc: int) -> None:
        self.counts.key_requests += 1
        self._on_key_frame(ssrc)

    def feedback(self, now: float) -> list[bytes]:
        """Return the transport-wide feedback and the NACKs that are due."""
        packets: list[bytes] = []
        if now < self.feedback_due:
            return packets
        self.feedback_due = now + FEEDBACK_SECONDS
        if self._counter_id is not None:
            packets += self._arrivals.messages(self._own_ssrc, next(iter(self.streams), 0))
        for ssrc, sequences in self._nacks.items():
            packets.append(
                rtcp.negative_acknowledgement(self._own_ssrc, ssrc, sorted(set(sequences)))
            )
        self._nacks.clear()
        return packets

    def reports(self, now: float) -> list[bytes]:
        """Return the receiver report that is due."""
        if now < self.report_due or not self.streams:
            return []
        self.report_due = now + REPORT_SECONDS
        blocks = [
            rtcp.Report(
                stream.ssrc,
                0,
                0,
                stream.highest & 0xFFFFFFFF,
                10,
                *self._last_report(stream.ssrc, now),
            )
            for stream in self.streams.values()
            if stream.ssrc not in self._repair_ssrcs and stream.first >= 0
        ]
        return [rtcp.receiver_report(self._own_ssrc, blocks[:31])] if blocks else []

    def _last_report(self, ssrc: int, now: float) -> tuple[int, int]:
        compact, at = self.remote_reports.get(ssrc, (0, now))
        return compact, max(0, int((now - at) * 65536)) if compact else 0
