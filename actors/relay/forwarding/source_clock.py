"""The clock of one source: where its RTP time stamps stand in time, by its sender reports."""

from __future__ import annotations

from actors.relay.forwarding.wall_clock import WallClock
from actors.relay.wire.rtcp import SenderInfo, seconds_of

MOST_DELAY = 1.0
"""Seconds between capture and arrival that are believed."""
_DRIFT = 1.01
"""How much faster than the relay's own a source's clock may go."""
_LEAST_STEP = 8
"""Ticks between two pictures at least, so that they stay two in a slot that stamps by turns."""
_MASK = 0xFFFFFFFF
_HALF = 0x80000000


class SourceClock:
    """Ties RTP time stamps to the publisher's wall clock (RFC 3550 §6.4.1).

    That is tied to the relay's once for all tracks of a transport. All time stamps in here and
    behind are those that `follow` returns: what a source says of its time, in its packets or its
    reports, bends no time line that somebody else continues.
    """

    __slots__ = (
        "_ahead",
        "_arrival",
        "_arrived",
        "_compact",
        "_most",
        "_newest",
        "_ntp",
        "_rate",
        "_timestamp",
        "_wall_clock",
        "shift",
    )

    def __init__(self, wall_clock: WallClock, rate: int) -> None:
        self._wall_clock = wall_clock
        self._rate = rate
        self._most = int(MOST_DELAY * rate)
        self.shift = 0
        """What is added to the source's own time stamps; changes where it counts anew."""
        self._newest = 0
        self._arrived = 0.0
        self._ahead = 0.0
        """By how many ticks more than time passes the next time stamps may go on."""
        self._ntp: float | None = None
        self._timestamp = 0
        self._compact = 0
        self._arrival = 0.0

    def begin(self, timestamp: int, now: float) -> None:
        """Take the first packet's time stamp."""
        self._newest = timestamp
        self._arrived = now
        self._ahead = self._most

    def follow(self, timestamp: int, now: float) -> int:
        """Return where the newest packet's time stamp stands on a time line that never bends.

        No packet comes before its capture, and none is believed to come more than `MOST_DELAY`
        after: all in all time stamps may run ahead of time by so much, and step back by so much.
        Standing still, as a voice that was paused, is free. A source that does otherwise counts
        anew: a new source, or somebody who wants to bend the clock of whoever is shown next.
        """
        stamp = timestamp + self.shift & _MASK
        step = _signed(stamp - self._newest)
        if step:
            passed = (now - self._arrived) * self._rate
            ahead = min(self._ahead, self._most) + passed * _DRIFT
            if not -self._most <= step <= ahead:
                self.shift -= step
                step = max(_LEAST_STEP, int(passed))
                self.shift = self.shift + step & _MASK
                stamp = self._newest + step & _MASK
            if step > 0:
                self._newest = stamp
                self._arrived = now
                self._ahead = max(0.0, ahead - step)
        return stamp

    def earlier(self, timestamp: int) -> int | None:
        """Return the same for a packet that came late; None for one that says it is newer."""
        stamp = timestamp + self.shift & _MASK
        # By so much it may be: padding moves nothing on, and can overtake a packet.
        return stamp if _signed(stamp - self._newest) <= self._most else None

    def reported(self, info: SenderInfo, now: float) -> None:
        """Take the publisher's SR."""
        self._ntp = seconds_of(info.ntp)
        self._timestamp = info.timestamp + self.shift & _MASK
        self._compact = info.ntp >> 16 & 0xFFFFFFFF
        self._arrival = now
        self._wall_clock.reported(self._ntp, now)

    def echo(self, now: float) -> tuple[int, int]:
        """Return what a report block says of the last SR: its time, and the delay since."""
        if not self._compact:
            return 0, 0
        return self._compact, min(0xFFFFFFFF, int((now - self._arrival) * 65536))

    def moment_of(self, timestamp: int) -> float | None:
        """Return the publisher's wall-clock time of an RTP time stamp."""
        if self._ntp is None:
            return None
        return self._ntp + _signed(timestamp - self._timestamp) / self._rate

    def captured_at(self, timestamp: int, now: float) -> float:
        """Return when this was captured, on the relay's clock; `now` if no report is believed."""
        moment = self.moment_of(timestamp)
        offset = self._wall_clock.offset
        if moment is None or offset is None or not now - MOST_DELAY < moment + offset < now:
            return now
        return moment + offset

    def timestamp_at(self, now: float) -> int:
        """Return the RTP time at `now`, on the relay's clock.

        By the sender reports where what has arrived bears them out, else by what has arrived.
        """
        arrived = self._arrived_at(now)
        offset = self._wall_clock.offset
        if self._ntp is None or offset is None:
            return arrived
        reported = self._timestamp + int((now - offset - self._ntp) * self._rate)
        if (
            _signed(reported - arrived) > self._most
            or _signed(reported - self._newest) < -self._most
        ):
            return arrived
        return reported

    def same_moment(self, other: SourceClock, timestamp: int, now: float) -> int:
        """Return the time stamp here of what `other` stamps so, the same person's other layer.

        Through the reports of both; by when both arrived until both have reported, because what is
        captured lies before what arrives by all that it takes to encode and to send.
        """
        if self._ntp is None or other._ntp is None:
            return self._arrived_at(now)
        return self.timestamp_at(other.captured_at(timestamp, now))

    def _arrived_at(self, now: float) -> int:
        return self._newest + int((now - self._arrived) * self._rate)


def _signed(ticks: int) -> int:
    return (ticks + _HALF & _MASK) - _HALF
