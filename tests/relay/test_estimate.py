"""The send-side estimate on a simulated link with a fake clock, and its feedback format."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.relay.congestion.allocation import Demand, LayerFacts, carried, choose, highest_useful
from actors.relay.congestion.estimate import LEAST, Congestion, Estimate
from actors.relay.congestion.hold import Hold
from actors.relay.wire.rtcp import parts_of
from actors.relay.wire.transport_feedback import ArrivalLog, ArrivalReader


class Link:
    """A bottleneck: a rate, a queue of 200 ms, a delay, random loss; deterministic by its seed."""

    def __init__(self, bitrate: float, *, loss: float = 0.0, delay: float = 0.05) -> None:
        self.bitrate = bitrate
        self.loss = loss
        self.delay = delay
        self._free = 0.0
        self._random = random.Random(4)

    def send(self, octets: int, now: float) -> float | None:
        """Return when the packet arrives; None when it is lost."""
        start = max(now, self._free)
        if start - now > 0.2 or self._random.random() < self.loss:
            return None
        self._free = start + octets * 8 / self.bitrate
        return self._free + self.delay


class Standing(Link):
    """A line that stands still for one second in three, then lets all through at once."""

    def send(self, octets: int, now: float) -> float | None:
        goes_on = now - now % 3 + 1 if now % 3 < 1 else now
        self._free = max(goes_on, self._free) + octets * 8 / self.bitrate
        return self._free + self.delay


class Policer(Link):
    """A line that drops what exceeds its rate within 50 ms and queues nothing."""

    def send(self, octets: int, now: float) -> float | None:
        self._free = max(self._free, now - 0.05) + octets * 8 / self.bitrate
        if self._free > now:
            self._free -= octets * 8 / self.bitrate
            return None
        return now + self.delay


def run(
    estimate: Estimate,
    link: Link,
    seconds: float,
    *,
    start: float = 0.0,
    use: float = 1.0,
    rate: float | None = None,
) -> None:
    """Send at `use` of the estimate in 1,000-byte packets, with feedback each 100 ms.

    Or at `rate`, in bits per second, whatever is estimated.
    """
    now = start
    number = int(start * 1000) & 0xFFFF
    report = now + 0.1
    flying: list[tuple[int, float | None, float]] = []
    while now < start + seconds:
        now += 8000 / (rate or max(LEAST, estimate.bitrate * use))
        number = number + 1 & 0xFFFF
        estimate.sent(number, 1000, now)
        flying.append((number, link.send(1000, now), now))
        if now >= report:
            report = now + 0.1
            settled = [f for f in flying if (f[1] if f[1] is not None else f[2] + 0.3) < now]
            flying = [f for f in flying if f not in settled]
            estimate.feedback([(f[0], f[1]) for f in settled], now)


def test_a_queue_that_grows_lowers_the_estimate_to_the_link() -> None:
    estimate = Estimate(2_500_000)
    run(estimate, Link(500_000), 3.0)
    assert estimate.bitrate < 700_000
    run(estimate, Link(500_000), 10.0, start=3.0)
    assert 250_000 < estimate.bitrate < 700_000


def test_it_rises_again_when_the_link_recovers_and_is_used() -> None:
    estimate = Estimate(400_000)
    run(estimate, Link(5_000_000), 10.0, use=1.15)
    assert estimate.bitrate > 1_500_000


def test_what_has_arrived_was_carried_whatever_was_known_before() -> None:
    """Pictures without layers may be more than a line has been measured for."""
    estimate = Estimate(2_500_000)
    run(estimate, Link(50_000_000), 1.0, rate=12_000_000)
    assert estimate.bitrate > 9_000_000


def test_what_a_line_has_held_up_proves_no_more_than_was_sent() -> None:
    estimate = Estimate(1_000_000)
    run(estimate, Standing(50_000_000), 20.0, rate=800_000)
    assert 500_000 < estimate.bitrate < 1_500_000


def test_a_hiccup_of_the_machine_is_not_a_queue() -> None:
    estimate = Estimate(1_000_000)
    link = Link(50_000_000)
    for second in range(10):
        run(estimate, link, 1.0, start=float(second))
        # Everything stands still for 40 ms, then arrives at once.
        link._free = second + 1.04
    assert estimate.bitrate >= 1_000_000


def test_an_unused_estimate_does_not_rise() -> None:
    estimate = Estimate(1_000_000)
    run(estimate, Link(5_000_000), 10.0, use=0.3)
    assert estimate.bitrate <= 1_000_000


def test_random_loss_of_five_percent_does_not_starve() -> None:
    estimate = Estimate(1_000_000)
    run(estimate, Link(5_000_000, loss=0.05), 10.0)
    assert estimate.bitrate > 600_000


def test_random_loss_on_a_narrow_line_leaves_what_the_line_carries() -> None:
    estimate = Estimate(2_500_000)
    link = Link(500_000, loss=0.05)
    run(estimate, link, 10.0)
    found = []
    for second in range(10, 30):
        run(estimate, link, 1.0, start=float(second))
        found.append(estimate.bitrate)
    assert 300_000 < sum(found) / len(found) < 500_000


def test_loss_without_a_queue_never_lets_it_rise_above_what_arrives() -> None:
    """A policer drops what is too much and delays nothing: a tenth of loss is where it ends."""
    estimate = Estimate(1_000_000)
    link = Policer(500_000)
    run(estimate, link, 20.0)
    assert 350_000 < estimate.bitrate < 700_000


def test_heavy_loss_lowers_it() -> None:
    estimate = Estimate(1_000_000)
    run(estimate, Link(50_000_000, loss=0.3), 5.0)
    assert estimate.bitrate < 600_000


def test_reports_count_only_without_transport_feedback() -> None:
    estimate = Estimate(1_000_000)
    estimate.remb(300_000, 0.0)
    assert estimate.bitrate == 300_000
    estimate.sent(1, 1000, 1.0)
    estimate.feedback([(1, 1.0)], 1.0)
    estimate.remb(900_000, 2.0)
    estimate.reported_loss(0.5, 2.0)
    assert estimate.bitrate == 300_000
    assert estimate.loss == 0
    estimate.remb(900_000, 4.0)
    assert estimate.bitrate == 900_000


def test_many_reports_of_one_line_count_once_and_a_remb_bounds_it() -> None:
    """Browsers report on each stream by itself; of seven the worst is what the line loses."""
    estimate = Estimate(1_000_000)
    for second in range(2):
        for loss in (0.2, 0.0, 0.2, 0.2, 0.2, 0.2, 0.2):
            estimate.reported_loss(loss, float(second))
    assert round(estimate.bitrate) == 810_000
    for second in range(2, 5):
        for _ in range(7):
            estimate.reported_loss(0.0, float(second))
    # What came of the others is the worst of the next second.
    assert abs(estimate.bitrate - 1_000_000 * 0.9**3 * 1.05**2) < 1
    estimate.remb(300_000, 5.0)
    estimate.reported_loss(0.0, 6.0)
    assert estimate.bitrate == 300_000
    estimate.reported_loss(0.2, 6.9)
    assert round(estimate.bitrate) == 270_000


def test_another_way_that_takes_longer_is_no_queue() -> None:
    estimate = Estimate(1_000_000)
    link = Link(50_000_000, delay=0.02)
    run(estimate, link, 3.0)
    before = estimate.bitrate
    # The last of what went the way before is told of after it.
    estimate.sent(1, 1000, 2.99)
    link.delay = 0.25
    estimate.moved(3.0)
    estimate.feedback([(1, 3.01)], 3.1)
    run(estimate, link, 2.0, start=3.1)
    assert estimate.bitrate >= before
    assert estimate.congestion(5.1) is Congestion.NONE


def test_who_has_told_nothing_is_not_taken_to_lose_anything() -> None:
    estimate = Estimate(1_000_000)
    assert estimate.congestion(0.0) is Congestion.NONE
    estimate.reported_loss(0.05, 1.0)
    assert estimate.congestion(1.0) is Congestion.LOSS
    estimate.reported_loss(0.0, 2.0)
    assert estimate.congestion(2.0) is Congestion.NONE
    # 300 ms of a queue, while somebody tells of it.
    for number in range(20):
        estimate.sent(number, 1000, 3.0 + number / 10)
    arrivals = [(number, 3.0 + number / 10 + 0.03 * max(0, number - 9)) for number in range(20)]
    estimate.feedback(arrivals, 5.0)
    assert estimate.congestion(5.0) is Congestion.QUEUE
    assert estimate.congestion(7.1) is Congestion.NONE


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.none() | st.floats(-1e6, 1e6)), max_size=60))
def test_any_feedback_keeps_the_estimate_in_its_bounds(
    arrivals: list[tuple[int, float | None]],
) -> None:
    estimate = Estimate(1_000_000)
    for number in range(200):
        estimate.sent(number, 1000, number / 100)
    estimate.feedback([(number % 256, arrival) for number, arrival in arrivals], 2.0)
    estimate.feedback(arrivals, 3.0)
    assert LEAST <= estimate.bitrate <= 20_000_000


@given(st.binary(max_size=300))
def test_any_feedback_message_is_read_within_bounds(data: bytes) -> None:
    assert len(list(ArrivalReader().read(memoryview(data)))) <= 4096


@given(
    first=st.integers(0, 0xFFFF),
    gaps=st.lists(st.integers(1, 40), min_size=1, max_size=200),
    pauses=st.lists(st.integers(0, 400), min_size=200, max_size=200),
)
def test_what_is_written_reads_back(first: int, gaps: list[int], pauses: list[int]) -> None:
    log = ArrivalLog()
    number, now = first, 5.0
    expected: list[tuple[int, float]] = []
    for gap, pause in zip(gaps, pauses, strict=False):
        log.arrived(number, now)
        expected.append((number, now))
        number = number + gap & 0xFFFF
        now += pause / 1000
    reader = ArrivalReader()
    read: list[tuple[int, float | None]] = []
    for message in log.messages(1, 2):
        assert len(message) % 4 == 0
        assert len(message) < 1400
        (part,) = parts_of(memoryview(message))
        read += reader.read(part.body)
    received = [(n, at) for n, at in read if at is not None]
    assert [n for n, _ in received] == [n for n, _ in expected]
    # Quarter milliseconds, and the same origin for all.
    shift = expected[0][1] - received[0][1]
    for (_, sent), (_, seen) in zip(expected, received, strict=True):
        assert abs(sent - seen - shift) < 0.001
    assert sum(at is None for _, at in read) == sum(gaps[: len(expected) - 1]) - len(expected) + 1


@pytest.mark.parametrize("origin", [0.0, -500_000.0])
def test_a_clock_that_goes_otherwise_is_no_queue_whatever_it_counts_from(origin: float) -> None:
    """Half of all reference times are below zero; a line's least delay lapses all the same."""
    estimate = Estimate(1_000_000)
    for step in range(1, 1200):
        now = step / 10
        numbers = [3 * step + each for each in range(3)]
        for number in numbers:
            estimate.sent(number & 0xFFFF, 1000, now)
        # A fifth of a percent too fast: 40 ms in twenty seconds.
        arrival = origin + 0.05 + 1.002 * now
        estimate.feedback([(number & 0xFFFF, arrival) for number in numbers], now)
    assert estimate.congestion(120.0) is Congestion.NONE


def test_arrival_times_go_on_where_the_reference_time_wraps() -> None:
    """At 2²³ and 2²⁴ times 64 ms of the receiver's clock, whenever in a call that is."""
    log, reader = ArrivalLog(), ArrivalReader()
    wraps = [(1 << bits) * 0.064 for bits in (23, 24)]
    moments = [0.0, *(at + shift for at in wraps for shift in (-0.1, 0.1))]
    read: list[float] = []
    for number, moment in enumerate(moments):
        log.arrived(number, 5.0 + moment)
        (message,) = log.messages(1, 2)
        (part,) = parts_of(memoryview(message))
        read += [at for _, at in reader.read(part.body) if at is not None]
    assert [round(at - read[0], 2) for at in read] == [round(moment, 2) for moment in moments]


@given(
    first=st.integers(0, 0xFFFF),
    order=st.permutations(range(24)),
    ends=st.sets(st.integers(1, 23), max_size=5),
)
def test_nothing_that_has_arrived_is_said_to_be_lost_later(
    first: int, order: list[int], ends: set[int]
) -> None:
    """Packets that overtake one another across messages: each arrival is told once."""
    log, reader = ArrivalLog(), ArrivalReader()
    told: set[int] = set()
    for count, number in enumerate(order, 1):
        log.arrived(first + number & 0xFFFF, 5.0 + count / 100)
        if count not in ends and count < len(order):
            continue
        for message in log.messages(1, 2):
            (part,) = parts_of(memoryview(message))
            for sequence, at in reader.read(part.body):
                assert sequence not in told
                if at is not None:
                    told.add(sequence)
    assert told == {first + number & 0xFFFF for number in order}


LAYERS = (
    LayerFacts("q", 180, 150_000),
    LayerFacts("h", 360, 500_000),
    LayerFacts("f", 720, 1_500_000),
)


def test_a_display_gets_the_lowest_layer_that_fills_it() -> None:
    assert highest_useful(Demand(LAYERS, 170, -1)) == 0
    assert highest_useful(Demand(LAYERS, 360, -1)) == 1
    assert highest_useful(Demand(LAYERS, 1080, -1)) == 2
    assert highest_useful(Demand(LAYERS, 0, -1)) == 2


def test_the_largest_display_is_raised_first_and_everybody_keeps_the_lowest() -> None:
    small, large = Demand(LAYERS, 180, -1), Demand(LAYERS, 720, -1)
    assert choose([small, large, large], 10_000_000) == ([0, 2, 2], False)
    assert choose([small, large, large], 1_400_000) == ([0, 1, 0], True)
    assert choose([small, large, large], 10_000) == ([0, 0, 0], True)


def test_a_shown_layer_stays_where_it_would_not_be_reached() -> None:
    fresh, shown = Demand(LAYERS, 720, -1), Demand(LAYERS, 720, 1)
    assert choose([fresh], 600_000)[0] == [0]
    assert choose([shown], 600_000)[0] == [1]


def test_nobody_to_choose_for() -> None:
    assert choose([], 1000) == ([], False)


def picture(bitrate: float, *, held: bool = False) -> Demand:
    """A slot with one layer of so many bits per second."""
    return Demand((LayerFacts("", 0, bitrate),), 0, -1, held)


def test_what_a_line_does_not_carry_is_held_back_the_dearest_first() -> None:
    small, large = picture(150_000), picture(8_000_000)
    assert carried([large, small], 10_000_000, Congestion.LOSS) == [True, True]
    assert carried([large, small], 2_000_000, Congestion.LOSS) == [False, True]
    # Behind a queue what is too much takes voices with it; else it may be the line's own loss.
    three = [small] * 3
    assert carried(three, 300_000, Congestion.LOSS) == [True, True, True]
    assert carried(three, 300_000, Congestion.QUEUE) == [True, True, False]
    assert carried([small], 70_000, Congestion.LOSS) == [False]
    # What all arrives is carried, though nothing has shown the estimate so.
    assert carried([large, large], 2_000_000, Congestion.NONE) == [True, True]


def test_what_was_held_back_begins_again_only_where_it_fits_well() -> None:
    assert carried([picture(400_000)], 300_000, Congestion.LOSS) == [True]
    assert carried([picture(400_000, held=True)], 300_000, Congestion.NONE) == [False]
    assert carried([picture(400_000, held=True)], 450_000, Congestion.QUEUE) == [True]


@given(
    st.lists(st.tuples(st.integers(1, 5_000_000), st.booleans()), max_size=8),
    st.integers(0, 8_000_000),
    st.integers(0, 20_000_000),
    st.sampled_from(Congestion),
)
def test_nobodys_excess_costs_another_their_picture(
    pictures: list[tuple[int, bool]], excess: int, bitrate: int, congestion: Congestion
) -> None:
    demands = [picture(cost, held=held) for cost, held in pictures]
    found = carried(demands, bitrate, congestion)
    costs = [cost for cost, _ in pictures]
    if congestion is not Congestion.NONE:
        assert sum(c for c, fits in zip(costs, found, strict=True) if fits) <= 2 * bitrate
    dearest = picture(max(costs, default=0) + 1 + excess)
    assert carried([dearest, *demands], bitrate, congestion)[1:] == found


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=60))
def test_a_picture_is_held_back_after_a_while_and_for_a_while(
    steps: list[tuple[float, bool]],
) -> None:
    hold = Hold()
    now = changed_at = 0.0
    misfit_since: float | None = None
    for wait, fits in steps:
        now += wait
        if fits:
            misfit_since = None
        elif misfit_since is None:
            misfit_since = now
        before = hold.held
        assert hold.note(fits, now) == (hold.held is not before)
        if hold.held and not before:
            assert misfit_since is not None
            assert now - misfit_since >= 1.5
            changed_at = now
        elif before and not hold.held:
            assert fits
            assert now - changed_at >= 3.0
        elif not hold.held:
            assert misfit_since is None or now - misfit_since < 1.5
        elif fits:
            assert now - changed_at < 3.0
