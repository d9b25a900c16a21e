"""One encoding somebody sends: reception statistics, and what is asked of its sender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from actors.relay.forwarding.missing import Missing
from actors.relay.forwarding.source_clock import SourceClock
from actors.relay.sdp.codec import Codec
from actors.relay.wire.redundancy import Redundant
from actors.relay.wire.rtcp import Report
from actors.relay.wire.rtp import SILENT, Body, unwrap

if TYPE_CHECKING:
    from actors.relay.forwarding.packet import Packet
    from actors.relay.forwarding.publication import Publication
    from actors.relay.forwarding.slot import Slot
    from actors.relay.wire.vp8 import Vp8

_INACTIVE = 0.7
"""Seconds without a picture after which a layer counts as turned off."""
_MEASURE_INTERVAL = 0.5


class Layer(ABC):
    """One SSRC of one publisher: a `Voice` or a `Picture`.

    Sequence numbers are extended once, here; everything behind counts in integers that do not
    wrap.
    """

    __slots__ = (
        "_expected_before",
        "_measured",
        "_octets_before",
        "_received_before",
        "base",
        "bitrate",
        "clock",
        "codec",
        "expected",
        "height",
        "highest",
        "jitter",
        "key_interval",
        "key_requested",
        "key_wanted",
        "keys_seen",
        "last_arrival",
        "last_key",
        "last_timestamp",
        "loss",
        "missing",
        "octets",
        "publication",
        "received",
        "repaired",
        "rid",
        "slots",
        "ssrc",
        "steady_from",
        "transit",
        "waiting",
    )

    def __init__(self, publication: Publication, ssrc: int, codec: Codec, rid: str) -> None:
        self.publication = publication
        self.ssrc = ssrc
        self.codec = codec
        self.rid = rid
        self.slots: list[Slot] = []
        """Slots this layer feeds."""
        self.waiting: list[Slot] = []
        """Slots that begin with its next key frame, or with its next packet if it is audio."""
        self.base = -1
        """Its first sequence; -1 before it."""
        self.highest = -1
        """The sequence of its newest packet."""
        self.received = 0
        self.repaired = 0
        """Packets that were missed and came as retransmissions."""
        self.octets = 0
        self.missing: Missing | None = Missing() if "nack" in codec.feedback else None
        self.loss = 0.0
        """Fraction lost on the way in, over the last report interval."""
        self.expected = 0
        """How many packets should have come in that interval."""
        self.height = 0
        """Pixels, as the last key frame said; 0 while unknown (H.264 is not looked into)."""
        self.bitrate = 0.0
        """Measured, in bits per second of payload."""
        self._measured = 0.0
        self._octets_before = 0
        self.jitter = 0.0
        """Between arrivals, in clock ticks (RFC 3550 §A.8)."""
        self.transit = 0.0
        """Of its newest packet, in ticks, up to a constant."""
        self.last_timestamp = 0
        self.last_arrival = 0.0
        self.key_wanted = False
        self.key_requested = -1e9
        self.key_interval = publication.transport.key_frame_interval
        self.keys_seen = 0
        self.last_key = -1
        """Where the newest key frame begins."""
        self.clock = SourceClock(publication.transport.wall_clock, codec.clock_rate)
        self.steady_from = -1
        """Where its clock has counted anew; what comes late from before has no place in time."""
        self._expected_before = 0
        self._received_before = 0

    def receive(
        self,
        data: memoryview,
        body: Body,
        sequence: int,
        timestamp: int,
        marker: int,
        now: float,
        level: int = SILENT,
        redundant: Redundant | None = None,
    ) -> None:
        """Take one decrypted packet and pass it on.

        `body` says where its payload lies; `level` is how loud a voice is, in -dBov (RFC 6464).
        """
        octets = body.payload_end - body.payload
        stamp: int | None = timestamp
        if self.base < 0:
            # One cycle up, so that a packet from just before the first does not go negative.
            self.base = self.highest = sequence + 0x10000
            sequence = self.base
            self.last_timestamp = timestamp
            self.last_arrival = self._measured = now
            self.transit = now * self.codec.clock_rate - timestamp
            self.clock.begin(timestamp, now)
        else:
            sequence = unwrap(sequence, self.highest, 16)
            if sequence > self.highest:
                if sequence != self.highest + 1 and self.missing is not None:
                    self._note_holes(sequence, now)
                self.highest = sequence
                if octets:
                    stamp = self._followed(timestamp, now)
            else:
                if self.missing is not None:
                    self.missing.arrived(sequence)
                stamp = self._late(sequence, timestamp)
        self.received += 1
        self.octets += octets
        if timestamp != self.last_timestamp and sequence == self.highest:
            self._measure_jitter(timestamp, now)
            self.last_timestamp = timestamp
            self.last_arrival = now
        if not octets:
            # A padding probe: counted, never forwarded.
            self.leave_out(sequence, stamp, now)
        elif stamp is not None:
            self.deliver(data, body, sequence, stamp, marker, now, level, redundant)

    def _followed(self, timestamp: int, now: float) -> int:
        """Return the newest packet's time stamp on the clock that its slots go by."""
        clock = self.clock
        before = clock.shift
        timestamp = clock.follow(timestamp, now)
        if clock.shift != before:
            self.pass_on(now)
            self.steady_from = self.highest
        return timestamp

    def _late(self, sequence: int, timestamp: int) -> int | None:
        """Return a late packet's time stamp on that clock; None if it has no place there."""
        return self.clock.earlier(timestamp) if sequence >= self.steady_from else None

    def repair(
        self,
        data: memoryview,
        body: Body,
        sequence: int,
        timestamp: int,
        marker: int,
        now: float,
    ) -> None:
        """Take a packet that came as a retransmission (RFC 4588 §4); it counts as late.

        Browsers also probe for bandwidth by resending what has arrived; that goes no further.
        """
        if self.base >= 0:
            sequence = unwrap(sequence, self.highest, 16)
            if self.missing is not None and self.missing.arrived(sequence):
                self.repaired += 1
                stamp = self._late(sequence, timestamp)
                if stamp is not None:
                    self.deliver(data, body, sequence, stamp, marker, now, SILENT, None)

    @abstractmethod
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
        """Pass a packet on whose sequence and time stamp are those that its slots go by."""

    @abstractmethod
    def pass_on(self, now: float) -> None:
        """Forward what is held back."""

    def leave_out(self, sequence: int, timestamp: int | None, now: float) -> None:
        """Close up what is sent over a packet that is not passed on, unless it came late.

        `timestamp` as for `deliver`; None where the packet has no place in time.
        """
        del timestamp
        self.pass_on(now)
        for slot in self.slots:
            slot.numbering.skip(sequence)

    def begin_waiting(self, sequence: int, timestamp: int, vp8: Vp8 | None, now: float) -> None:
        """Let all who wait begin with this packet."""
        self.pass_on(now)
        for slot in list(self.waiting):
            slot.switch(self, sequence, timestamp, vp8, now)

    def takes_over(self, now: float) -> bool:
        """Whether its publication, which is not passed on, is from now on: this can start."""
        publication = self.publication
        publication.transport.ready_to_take_over(publication, now)
        return publication.open

    def kept(self, sequence: int, now: float) -> Packet | None:
        """Return a packet of the last second, for a subscriber that missed it; voices keep none."""
        del sequence, now
        return None

    def is_beyond_repair(self, sequence: int, now: float) -> bool:
        """Whether what follows waits for a packet that is not kept any more nor still to come."""
        del sequence, now
        return False

    def _note_holes(self, sequence: int, now: float) -> None:
        assert self.missing is not None
        if not self.publication.open:
            return
        if self.missing.skipped(self.highest + 1, sequence, now):
            self.ask_again(now)
        elif self.slots:
            self.request_key_frame(now)

    def ask_again(self, now: float) -> None:
        """Send the negative acknowledgements that are due."""
        if self.missing:
            due = self.missing.due(now)
            if due:
                self.publication.transport.outlet.send_missing(self.ssrc, due)

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        # RFC 3550 §A.8; the modulus keeps a wrap of the time stamp from looking like jitter.
        transit = now * self.codec.clock_rate - timestamp
        delta = (transit - self.transit + 0x80000000) % 0x100000000 - 0x80000000
        self.transit = transit
        self.jitter += (abs(delta) - self.jitter) / 16

    def request_key_frame(self, now: float) -> None:
        """Ask for a key frame; asks again, throttled, until one is seen."""
        self.key_wanted = True
        self.repeat_key_request(now)

    def repeat_key_request(self, now: float) -> None:
        """Send the request that is due: at most one per interval, at the interval's end.

        Only while somebody sees the layer or waits for it. One that its sender has turned off has
        no key frame to send, and browsers answer with one of every layer that they do send.
        """
        if self.key_wanted and not self.slots and not self.waiting:
            self.key_wanted = False
        if self.key_wanted and self.publication.open:
            self.send_key_request(now)

    def send_key_request(self, now: float) -> None:
        """Send a request, unless one was sent within the interval."""
        if now - self.key_requested >= self.key_interval:
            self.key_requested = now
            self.publication.transport.outlet.send_picture_loss(self.ssrc)

    def active(self, now: float) -> bool:
        """Whether packets of this layer come; a sender may turn layers off at any time."""
        return self.base >= 0 and now - self.last_arrival < _INACTIVE

    def measure(self, now: float) -> None:
        """Update the bit rate; call it a few times a second."""
        elapsed = now - self._measured
        if elapsed >= _MEASURE_INTERVAL:
            rate = 8 * (self.octets - self._octets_before) / elapsed
            self._octets_before = self.octets
            self._measured = now
            if self.active(now) or not self.publication.rids:
                # What was turned off of several may be wanted again, and then costs as much.
                self.bitrate = rate if not self.bitrate else 0.7 * self.bitrate + 0.3 * rate

    def told_loss(self, fraction: int) -> int:
        """Return which loss its sender is told of, in 256ths, of what is lost on the way in."""
        return fraction

    def reception_report(self, now: float) -> Report | None:
        """Write the report block due for this layer and start the next interval."""
        if self.base < 0:
            return None
        expected = self.highest - self.base + 1
        lost = max(-0x800000, min(0x7FFFFF, expected - self.received))
        self.expected = expected_interval = expected - self._expected_before
        lost_interval = expected_interval - (self.received - self._received_before)
        self._expected_before = expected
        self._received_before = self.received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min(255, (lost_interval << 8) // expected_interval)
        self.loss = fraction / 256
        fraction = self.told_loss(fraction)
        last, delay = self.clock.echo(now)
        # The first cycle was added by `receive`.
        highest = self.highest - 0x10000 & 0xFFFFFFFF
        return Report(self.ssrc, fraction, lost, highest, int(self.jitter), last, delay)
