"""How much one subscriber can receive, from when packets were sent and when they arrived.

A send-side estimate in the manner of draft-ietf-rmcat-gcc-02: the slope of the one-way delay
says when a queue grows, transport feedback says what was lost. It only rises while it is used
(or probed), because an unused estimate proves nothing; what has arrived proves that it was carried.
No clock: times are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import StrEnum

from actors.relay.congestion.regression import Regression

_KEPT = 4096
_MASK = _KEPT - 1
_BURST = 0.005
"""Packets sent within this time are one group (draft §4.1)."""
_WINDOW = 20
"""Groups in the slope."""
_GAIN = 4.0
"""Of the slope, as libwebrtc's trendline has it."""
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
_REPORT_SECONDS = 0.9
"""For which a report of loss counts; browsers make them about once a second."""
_RATE_WINDOW = 0.3
_QUEUE = 0.1
"""Seconds that packets wait in a queue which is more than a moment's."""
_CALM = 3.0
"""Seconds after a cut without probing: every probe that fails costs the voice a few packets."""

LEAST = 50_000
MOST = 20_000_000


class Congestion(StrEnum):
    """Whether a line carries what is sent, and if not, what shows it."""

    NONE = "none"
    LOSS = "loss"
    QUEUE = "queue"


class _Group:
    """Packets sent within one burst: when its first and last were sent, its last arrival."""

    __slots__ = ("arrival", "first", "octets", "sent")

    def __init__(self) -> None:
        self.first = self.sent = self.arrival = -1e9
        self.octets = 0

    def begin(self, sent: float, arrival: float) -> None:
        self.first = self.sent = sent
        self.arrival = arrival
        self.octets = 0


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
        "_moved_at",
        "_numbered",
        "_octets",
        "_queue",
        "_received",
        "_remb_at",
        "_reported",
        "_reported_at",
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
        "lowered",
        "overusing",
        "received_rate",
    )

    def __init__(self, initial: float) -> None:
        self.bitrate = initial
        self.received_rate = 0.0
        self.loss = 0.0
        self.overusing = False
        self.lowered = False
        """Whether it was cut since somebody last looked, who sets this back."""
        self._sent_at = [0.0] * _KEPT
        self._sent_size = [0] * _KEPT
        self._numbered = [-1] * _KEPT
        self._group = _Group()
        self._delay_before = 0.0
        self._queue = 0.0
        """By how much the last group's delay exceeds the least one lately, in seconds."""
        self._base = self._base_before = float("inf")
        self._base_since = float("-inf")
        """Of the peer's clock, which may count from below zero."""
        self._growing_since: float | None = None
        self._delays = Regression(_WINDOW)
        """(arrival, smoothed delay) of the last groups: their trendline."""
        self._smoothed = 0.0
        self._total = 0.0
        """The delay's growth since the first group, in seconds, and the same smoothed."""
        self._seen = 0
        self._threshold = _THRESHOLD
        self._threshold_at = 0.0
        self._trend_before = 0.0
        self._received: deque[tuple[float, int, float]] = deque()
        """Arrival, octets and time of sending of each group within the window; and their octets."""
        self._octets = 0
        self._lost: deque[tuple[float, int, int]] = deque(maxlen=256)
        self._last_feedback: float | None = None
        self._last_rise = 0.0
        self._last_cut = -1e9
        self._moved_at = float("-inf")
        self._reported = 0.0
        """The worst loss of the reports since `_reported_at`."""
        self._reported_at = self._remb_at = float("-inf")

    def moved(self, now: float) -> None:
        """What is sent from now on goes another way: no delay of before says anything of it.

        A way that takes longer would else be a queue, and stay one for as long as the least delay
        of before is remembered.
        """
        self._moved_at = now
        self._base = self._base_before = float("inf")
        self._base_since = float("-inf")
        self._queue = self._smoothed = self._total = 0.0
        self._delays.clear()
        self._seen = 0
        self._growing_since = None
        self.overusing = False

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
        """Take one feedback message: (number, arrival or None), in order.

        Packets are grouped by when they were sent; each finished group's delay is looked at. Nearly
        all packets only join a group, so that is written out here.
        """
        numbered, sent_at, sent_size = self._numbered, self._sent_at, self._sent_size
        group = self._group
        lost = received = 0
        for number, arrival in arrivals:
            place = number & _MASK
            if numbered[place] != number:
                # Reported before, or never sent.
                continue
            if arrival is None:
                # May still be reported as late; it counts as lost for now.
                lost += 1
                continue
            numbered[place] = -1
            received += 1
            sent = sent_at[place]
            if sent - group.first > _BURST:
                if group.octets:
                    self._finished(group, now)
                group.begin(sent, arrival)
            elif sent > group.sent:
                group.sent = sent
            if arrival > group.arrival:
                group.arrival = arrival
            group.octets += sent_size[place]
        self._last_feedback = now
        if received:
            self._measure_rate()
        if lost or received:
            self._lost.append((now, lost, received))
        self._measure_loss(now)
        self._adjust(now)

    def _measure_rate(self) -> None:
        received = self._received
        if not received:
            return
        latest = received[-1][0]
        while latest - received[0][0] > _RATE_WINDOW or len(received) > _KEPT:
            self._octets -= received.popleft()[1]
        # What a line has held up arrives faster than it was sent, and can go on.
        taken = received[-1][2] - received[0][2]
        self.received_rate = 8 * self._octets / max(_RATE_WINDOW, taken)

    def _measure_loss(self, now: float) -> None:
        while self._lost and now - self._lost[0][0] > 1.0:
            self._lost.popleft()
        lost = sum(entry[1] for entry in self._lost)
        total = lost + sum(entry[2] for entry in self._lost)
        self.loss = lost / total if total >= 20 else 0.0

    def _finished(self, group: _Group, now: float) -> None:
        """Take what a whole group shows: what arrived, and how its delay differs from the last."""
        self._received.append((group.arrival, group.octets, group.sent))
        self._octets += group.octets
        if group.first < self._moved_at:
            return
        # One-way delay up to a constant: its growth is what counts.
        delay = group.arrival - group.sent
        if self._seen:
            self._note_growth(delay - self._delay_before, group.arrival, now)
        self._delay_before = delay
        self._queue = self._standing_queue(delay, group.arrival)
        self._seen += 1

    def _standing_queue(self, delay: float, arrival: float) -> float:
        """Return by how much a delay exceeds the least of the last ten to twenty seconds."""
        if arrival - self._base_since > _BASE_SECONDS:
            self._base_before, self._base = self._base, delay
            self._base_since = arrival
        self._base = min(self._base, delay)
        return delay - min(self._base, self._base_before)

    def _note_growth(self, growth: float, arrival: float, now: float) -> None:
        """Say whether the delay's trendline shows overuse (draft §5.4), adapting the threshold."""
        self._total += growth
        self._smoothed = 0.9 * self._smoothed + 0.1 * self._total
        self._delays.add(arrival, self._smoothed)
        if len(self._delays) < _WINDOW // 2:
            return
        trend = min(self._seen, 60) * self._delays.slope() * _GAIN
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
                self.lowered = True
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
                self.lowered = True
                self._last_rise = self._last_cut = now
        elif self._growing_since is None and self.received_rate > _USED * self.bitrate:
            growth = _GROWTH if self.loss < _LOSS_LOW else _GROWTH_WITH_LOSS
            self._set(max(self.bitrate * growth**elapsed, _BACKOFF * self.received_rate))
            self._last_rise = now
        else:
            self._last_rise = now

    def reported_loss(self, fraction: float, now: float) -> None:
        """Take a receiver report's loss; counts only while there is no transport feedback.

        Browsers report on each stream by itself, and all are of one line: of what they say within
        a second the worst counts, once. Where there is a REMB, it says how far the line goes.
        """
        if not self.is_untold(now):
            return
        self._reported = max(self._reported, fraction)
        if now - self._reported_at < _REPORT_SECONDS:
            return
        self.loss, self._reported, self._reported_at = self._reported, 0.0, now
        if self.loss > _LOSS_HIGH:
            self._set(self.bitrate * (1 - 0.5 * self.loss))
        elif self.loss < _LOSS_LOW and now - self._remb_at >= _FORGET:
            self._set(self.bitrate * 1.05)

    def remb(self, bitrate: float, now: float) -> None:
        """Take a REMB; counts only while there is no transport feedback."""
        if self.is_untold(now):
            self._remb_at = now
            self._set(bitrate)

    def may_probe(self, now: float) -> bool:
        """Whether sending more than needed can be judged, and does no harm at present."""
        return (
            not self.is_untold(now)
            and self._growing_since is None
            and self.loss < _LOSS_HIGH
            and now - self._last_cut >= _CALM
        )

    def congestion(self, now: float) -> Congestion:
        """Say what has become lately of what was sent, as far as it has been told."""
        if self._queue > _QUEUE and not self.is_untold(now):
            return Congestion.QUEUE
        return Congestion.LOSS if self.loss >= _LOSS_LOW else Congestion.NONE

    def is_untold(self, now: float) -> bool:
        """Whether nothing has been reported lately: of what was sent, if anything was."""
        return self._last_feedback is None or now - self._last_feedback >= _FORGET

    def _set(self, bitrate: float) -> None:
        self.bitrate = min(MOST, max(LEAST, bitrate))
