"""How much one subscriber can receive, from when packets were sent and when they arrived.

A send-side estimate in the manner of draft-ietf-rmcat-gcc-02: the slope of the one-way delay
says when a queue grows, transport feedback says what was lost. It only rises while it is used
(or probed), because an unused estimate proves nothing. No clock: times are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

_KEPT = 4096
_MASK = _KEPT - 1
_BURST = 0.005
"""Packets sent within this time are one group (draft §4.1)."""
_WINDOW = 20
"""Groups in the slope."""
_GAIN = 4.0
_THRESHOLD = 12.5
"""Modified trend that counts as overuse, at first (draft §5.4)."""
_THRESHOLD_RANGE = (6.0, 600.0)
_THRESHOLD_UP, _THRESHOLD_DOWN = 8.7, 39.0
"""Per second; it follows upwards slowly, so that a competing flow does not starve this one."""
_OVERUSE_SECONDS = 0.05
_OVERUSE_QUEUE = 0.03
_BASE_SECONDS = 10.0
_BACKOFF = 0.85
_LOSS_HIGH, _LOSS_LOW = 0.10, 0.02
_GROWTH = 1.35
"""Per second."""
_GROWTH_WITH_LOSS = 1.12
"""Per second, while loss is moderate and no queue grows: then it is the line's own, as on radio.
Holding instead (draft §6) would leave such a line for ever where an earlier queue put it."""
_USED = 0.7
"""The share of the estimate that must arrive for it to rise."""
_FORGET = 2.0
"""Seconds without feedback after which the other sources of an estimate count."""
_RATE_WINDOW = 0.3
_CALM = 3.0
"""Seconds after a cut without probing: every probe that fails costs the voice a few packets."""

LEAST = 50_000
MOST = 20_000_000


class Estimate:
    """The estimate for one transport, in bits per second."""

    __slots__ = (
        "_base",
        "_base_before",
        "_base_since",
        "_delay_before",
        "_delays",
        "_group",
        "_growing_since",
        "_last_cut",
        "_last_feedback",
        "_last_rise",
        "_lost",
        "_numbered",
        "_queue",
        "_queued",
        "_received",
        "_seen",
        "_sent_at",
        "_sent_size",
        "_smoothed",
        "_threshold",
        "_threshold_at",
        "_total",
        "_trend_before",
        "bitrate",
        "loss",
        "overusing",
        "received_rate",
    )

    def __init__(self, initial: float) -> None:
        self.bitrate = initial
        self.received_rate = 0.0
        self.loss = 0.0
        self.overusing = False
        self._sent_at = [0.0] * _KEPT
        self._sent_size = [0] * _KEPT
        self._numbered = [-1] * _KEPT
        self._group: tuple[float, float] | None = None
        self._queued: tuple[float, float] | None = None
        self._delay_before = 0.0
        self._queue = 0.0
        self._base = self._base_before = float("inf")
        self._base_since = 0.0
        self._growing_since: float | None = None
        self._delays: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._smoothed = 0.0
        self._total = 0.0
        self._seen = 0
        self._threshold = _THRESHOLD
        self._threshold_at = 0.0
        self._trend_before = 0.0
        self._received: deque[tuple[float, int]] = deque(maxlen=_KEPT)
        self._lost: deque[tuple[float, int, int]] = deque(maxlen=256)
        self._last_feedback: float | None = None
        self._last_rise = 0.0
        self._last_cut = -1e9

    def sent(self, number: int, octets: int, now: float) -> None:
        """Note that a packet left under this transport-wide number."""
        place = number & _MASK
        self._numbered[place] = number
        self._sent_at[place] = now
        self._sent_size[place] = octets

    def sent_together(self, last: int, sizes: Sequence[int], now: float) -> None:
        """Note packets that leave at once, under the numbers up to `last`."""
        sent_at, sent_size, numbered = self._sent_at, self._sent_size, self._numbered
        number = last - len(sizes)
        for octets in sizes:
            number += 1
            place = number & _MASK
            numbered[place] = number & 0xFFFF
            sent_at[place] = now
            sent_size[place] = octets

    def feedback(self, arrivals: Iterable[tuple[int, float | None]], now: float) -> None:
        """Take one feedback message: (number, arrival or None), in order."""
        lost = received = 0
        for number, arrival in arrivals:
            place = number & _MASK
            if self._numbered[place] != number:
                # Reported before, or never sent.
                continue
            if arrival is None:
                # May still be reported as late; it counts as lost for now.
                lost += 1
                continue
            self._numbered[place] = -1
            received += 1
            self._received.append((arrival, self._sent_size[place]))
            self._arrived(self._sent_at[place], arrival, now)
        self._last_feedback = now
        if received:
            self._measure_rate()
        if lost or received:
            self._lost.append((now, lost, received))
        self._measure_loss(now)
        self._adjust(now)

    def _measure_rate(self) -> None:
        latest = self._received[-1][0]
        while self._received and latest - self._received[0][0] > _RATE_WINDOW:
            self._received.popleft()
        octets = sum(size for _, size in self._received)
        self.received_rate = 8 * octets / _RATE_WINDOW

    def _measure_loss(self, now: float) -> None:
        while self._lost and now - self._lost[0][0] > 1.0:
            self._lost.popleft()
        lost = sum(entry[1] for entry in self._lost)
        total = lost + sum(entry[2] for entry in self._lost)
        self.loss = lost / total if total >= 20 else 0.0

    def _arrived(self, sent: float, arrival: float, now: float) -> None:
        """Group packets by when they were sent, and look at each finished group's delay."""
        if self._group is None:
            self._group = (sent, arrival)
            self._queued = (sent, arrival)
            return
        first_sent, _ = self._group
        if sent - first_sent <= _BURST:
            if self._queued is not None:
                self._queued = (max(sent, self._queued[0]), max(arrival, self._queued[1]))
            return
        finished = self._queued
        self._group = (sent, arrival)
        assert finished is not None
        delay = finished[1] - finished[0]
        if self._seen:
            # One-way delay of the finished group, up to a constant: its growth is what counts.
            self._note_growth(delay - self._delay_before, finished[1], now)
        self._delay_before = delay
        self._queue = self._standing_queue(delay, finished[1])
        self._seen += 1
        self._queued = (sent, arrival)

    def _standing_queue(self, delay: float, arrival: float) -> float:
        """Return by how much a delay exceeds the least of the last ten to twenty seconds."""
        if arrival - self._base_since > _BASE_SECONDS:
            self._base_before, self._base = self._base, delay
            self._base_since = arrival
        self._base = min(self._base, delay)
        return delay - min(self._base, self._base_before)

    def _note_growth(self, growth: float, arrival: float, now: float) -> None:
        self._total += growth
        self._smoothed = 0.9 * self._smoothed + 0.1 * self._total
        self._delays.append((arrival, self._smoothed))
        if len(self._delays) < _WINDOW // 2:
            return
        trend = min(self._seen, 60) * _slope(self._delays) * _GAIN
        rising = trend > self._trend_before
        if trend <= self._threshold:
            self._growing_since = None
        elif self._growing_since is None:
            self._growing_since = arrival
        # A hiccup of either machine looks like a queue for a moment; a queue stays.
        self.overusing = (
            rising
            and self._growing_since is not None
            and arrival - self._growing_since >= _OVERUSE_SECONDS
            and self._queue > _OVERUSE_QUEUE
        )
        self._trend_before = trend
        elapsed = min(0.1, max(0.0, now - self._threshold_at))
        self._threshold_at = now
        distance = abs(trend) - self._threshold
        if distance < 15:
            speed = _THRESHOLD_UP if distance > 0 else _THRESHOLD_DOWN
            moved = self._threshold + speed * distance * elapsed
            self._threshold = min(_THRESHOLD_RANGE[1], max(_THRESHOLD_RANGE[0], moved))

    def _adjust(self, now: float) -> None:
        elapsed = min(1.0, max(0.0, now - self._last_rise))
        if self.overusing:
            target = _BACKOFF * self.received_rate
            if target < self.bitrate:
                self._set(target)
            self._last_rise = self._last_cut = now
            self.overusing = False
            self._growing_since = None
            self._delays.clear()
            self._seen = 0
        elif self.loss > _LOSS_HIGH:
            if elapsed >= 0.3:
                # The window still counts what was lost before the last cut; what arrives is proof.
                lowered = self.bitrate * (1 - 0.5 * self.loss)
                self._set(min(self.bitrate, max(lowered, _BACKOFF * self.received_rate)))
                self._last_rise = self._last_cut = now
        elif self._growing_since is None and self.received_rate > _USED * self.bitrate:
            growth = _GROWTH if self.loss < _LOSS_LOW else _GROWTH_WITH_LOSS
            self._set(self.bitrate * growth**elapsed)
            self._last_rise = now
        else:
            self._last_rise = now

    def reported_loss(self, fraction: float, now: float) -> None:
        """Take a receiver report's loss; counts only while there is no transport feedback."""
        if self._last_feedback is None or now - self._last_feedback > _FORGET:
            self.loss = fraction
            if fraction > _LOSS_HIGH:
                self._set(self.bitrate * (1 - 0.5 * fraction))
            elif fraction < _LOSS_LOW:
                self._set(self.bitrate * 1.05)

    def remb(self, bitrate: float, now: float) -> None:
        """Take a REMB; counts only while there is no transport feedback."""
        if self._last_feedback is None or now - self._last_feedback > _FORGET:
            self._set(bitrate)

    def may_probe(self, now: float) -> bool:
        """Whether sending more than needed can be judged, and does no harm at present."""
        return (
            self._last_feedback is not None
            and now - self._last_feedback < _FORGET
            and self._growing_since is None
            and self.loss < _LOSS_HIGH
            and now - self._last_cut >= _CALM
        )

    def _set(self, bitrate: float) -> None:
        self.bitrate = min(MOST, max(LEAST, bitrate))


def _slope(points: Iterable[tuple[float, float]]) -> float:
    """Least squares: seconds of delay gained per second."""
    pairs = list(points)
    count = len(pairs)
    origin, _ = pairs[0]
    sum_x = sum_y = sum_xx = sum_xy = 0.0
    for moment, y in pairs:
        x = moment - origin
        sum_x += x
        sum_y += y
        sum_xx += x * x
        sum_xy += x * y
    spread = count * sum_xx - sum_x * sum_x
    return (count * sum_xy - sum_x * sum_y) / spread if spread > 0 else 0.0
