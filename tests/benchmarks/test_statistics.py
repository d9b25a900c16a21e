"""Histograms, ratios and comparisons say what the numbers say."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.arrivals import REFUSED
from benchmarks.histogram import USUAL, Histogram, TooFew, bucket_of, enough
from benchmarks.measurement import Measurement, percentile_of
from benchmarks.result import ScenarioResult
from benchmarks.targets import Comparison

latencies = st.lists(st.floats(min_value=1e-6, max_value=3600.0), min_size=1, max_size=200)


def histogram(*milliseconds: float) -> Histogram:
    made = Histogram()
    for value in milliseconds:
        made.record(value / 1e3)
    return made


def measurement(side: str, number: int, *milliseconds: float) -> Measurement:
    """Each of these latencies twice, so that there is a median."""
    twice = histogram(*milliseconds, *milliseconds)
    return Measurement(side, number, {"reply": twice}, Histogram(), twice.count, 0)


@given(latencies, st.sampled_from([0.0, 25.0, 50.0, 90.0, 99.0, 100.0]))
def test_a_percentile_is_right_to_a_hundredth(seconds: list[float], percent: float) -> None:
    assume(len(seconds) >= enough(percent))
    made = Histogram()
    for value in seconds:
        made.record(value)
    exact = sorted(seconds)[max(1, math.ceil(len(seconds) * percent / 100)) - 1]
    assert made.percentile(percent) == pytest.approx(exact * 1e3, rel=0.01, abs=0.001)


@given(latencies, latencies)
def test_histograms_add_up(one: list[float], other: list[float]) -> None:
    left, right, whole = Histogram(), Histogram(), Histogram()
    for value in one:
        left.record(value)
        whole.record(value)
    for value in other:
        right.record(value)
        whole.record(value)
    left.add(right)
    assert left.to_json() == whole.to_json()
    assert left.count == whole.count


def test_a_histogram_survives_the_file() -> None:
    made = histogram(0.01, 1.0, 250.0)
    read = Histogram.from_json(json.loads(json.dumps(made.to_json())))
    assert read.summary() == made.summary()


def test_a_bucket_begins_where_the_document_says() -> None:
    for bucket in range(128, 3_000):
        begin = (bucket % 128 + 128) * 2 ** (bucket // 128 - 1)
        assert (bucket_of(begin - 1), bucket_of(begin)) == (bucket - 1, bucket)
    assert [bucket_of(microseconds) for microseconds in range(128)] == list(range(128))


@pytest.mark.parametrize(
    ("percent", "count"),
    [(0.0, 1), (5.0, 20), (25.0, 4), (50.0, 2), (90.0, 10), (99.0, 100), (99.9, 1000), (100.0, 1)],
)
def test_a_percentile_takes_so_many_values_that_one_lies_beyond_it(
    percent: float, count: int
) -> None:
    few, borne = (histogram(*range(1, n + 1)) for n in (count - 1, count))
    assert borne.percentile(percent) == pytest.approx(max(1.0, count * percent / 100), rel=0.01)
    assert (few.bears(percent), borne.bears(percent)) == (False, True)
    with pytest.raises(TooFew, match=f"{count - 1} are too few for a p{percent:g}"):
        few.percentile(percent)
    names = {name for name, each in USUAL.items() if each == percent}
    assert names <= set(borne.summary())
    assert not names & set(few.summary())


def p50_over_the_floor(target: float) -> Comparison:
    return Comparison("p50", "subject", "floor", percentile_of("reply", 50.0), target)


def test_a_ratio_is_taken_within_each_round() -> None:
    # The machine became ten times slower in round 1: both sides did, so the ratio did not move.
    rounds = [
        measurement("subject", 0, 2.0),
        measurement("floor", 0, 1.0),
        measurement("floor", 1, 10.0),
        measurement("subject", 1, 20.0),
    ]
    target = p50_over_the_floor(2.5).over(rounds)
    assert target.ratio == pytest.approx(2.0, rel=0.02)
    assert target.met


def test_the_ratio_is_the_median_of_the_rounds_and_its_spread_their_quartiles() -> None:
    rounds = [
        measurement(side, number, value)
        for number, subject in enumerate([5.0, 1.0, 2.0, 3.0, 4.0])
        for side, value in (("subject", subject), ("floor", 1.0))
    ]
    target = p50_over_the_floor(2.5).over(rounds)
    assert target.ratio == pytest.approx(3.0, rel=0.02)
    assert target.spread is not None
    assert list(target.spread) == pytest.approx([2.0, 4.0], rel=0.02)
    assert not target.met
    few = p50_over_the_floor(2.5).over(rounds[:6])
    assert few.spread is not None
    assert list(few.spread) == pytest.approx([1.0, 5.0], rel=0.02), "three have no quartiles"
    assert (few.has_quartiles, target.has_quartiles) == (False, True)


def test_rounds_that_disagree_are_noise() -> None:
    result = ScenarioResult("s", "", {})
    rounds = [
        measurement(side, number, value)
        for number, pair in enumerate([(1.0, 1.0), (3.0, 1.0), (9.0, 1.0), (1.0, 1.0)])
        for side, value in zip(("subject", "floor"), pair, strict=True)
    ]
    result.judge(p50_over_the_floor(1.5).over(rounds))
    assert any("disagree" in noise for noise in result.noise)


def test_times_faster_is_the_ratio_upside_down() -> None:
    rounds = [measurement("subject", 0, 1.0), measurement("naive", 0, 12.0)]
    target = Comparison(
        "faster",
        "subject",
        "naive",
        percentile_of("reply", 50),
        8.0,
        direction="at least",
        inverse=True,
    ).over(rounds)
    assert target.ratio == pytest.approx(12.0, rel=0.02)
    assert target.met


def test_a_latency_below_zero_is_no_latency() -> None:
    with pytest.raises(ValueError, match="latency of -0"):
        Histogram().record(-0.001)


def compared_sides(*rounds: tuple[float | None, float | None], target: float) -> ScenarioResult:
    """Compare a subject with a floor by their rounds; `None`: no answer came."""
    result = ScenarioResult("s", "", {})
    for number, pair in enumerate(rounds):
        for side, value in zip(("subject", "floor"), pair, strict=True):
            came = () if value is None else (value,)
            result.measurements.append(measurement(side, number, *came))
    result.compare(p50_over_the_floor(target))
    return result


@pytest.mark.parametrize(("subject", "floor"), [(None, 1.0), (1.0, None), (None, None)])
def test_a_round_without_an_answer_is_named_and_never_left_out(
    subject: float | None, floor: float | None
) -> None:
    result = compared_sides((1.0, 1.0), (subject, floor), (1.0, 1.0), target=2.0)
    side = "subject" if subject is None else "floor"
    assert result.noise == [f"p50: {side} has no value in round 2"]
    assert result.targets == []


def test_a_side_that_was_never_measured_is_named() -> None:
    assert compared_sides(target=2.0).noise == ["p50: neither subject nor floor was measured"]


@pytest.mark.parametrize(
    ("target", "noisy"),
    [
        # A quarter of the rounds at 2, a quarter at 9: whether 4 is reached nobody can tell.
        (4.0, True),
        # Three of four agree, which chance does as often.
        (6.0, True),
        # At 1 they all miss and at 20 they all meet it, however much they differ.
        (1.0, False),
        (20.0, False),
    ],
)
def test_rounds_that_differ_and_agree_about_the_target_are_a_finding(
    target: float, noisy: bool
) -> None:
    result = compared_sides(
        (2.0, 1.0), (2.0, 1.0), (5.0, 1.0), (9.0, 1.0), (9.0, 1.0), target=target
    )
    assert bool(result.noise) is noisy
    assert [made.met for made in result.judged()] == ([] if noisy else [target == 20.0])


@pytest.mark.parametrize("rounds", [2, 3, 4])
def test_of_few_rounds_that_differ_nothing_is_a_finding(rounds: int) -> None:
    result = compared_sides(*((2.0, 1.0), (9.0, 1.0)) * rounds, target=1.0)
    assert not result.noise
    few = compared_sides(*[(2.0, 1.0), (9.0, 1.0), (9.0, 1.0), (2.0, 1.0)][:rounds], target=1.0)
    assert bool(few.noise) is (rounds < 4)


def test_a_percentile_of_nothing_is_noise_and_no_target() -> None:
    result = ScenarioResult("s", "", {})
    result.measurements = [measurement("us", 0)]
    result.hold("everyone waits, p99", "us", "reply", 99.0, 1_000.0)
    assert result.noise == ["everyone waits, p99: nothing was measured"]
    assert result.targets == []


def test_a_percentile_of_too_few_is_neither_a_target_nor_noise_and_said() -> None:
    result = ScenarioResult("s", "", {})
    result.measurements = [measurement("us", 0, *range(1, 50))]
    result.hold("everyone waits, p99", "us", "reply", 99.0, 1_000.0)
    assert (result.targets, result.noise) == ([], [])
    said = "98 are too few for a p99, which takes 100"
    assert result.facts == {"everyone waits, p99 is not judged": said}
    # With those of another round there are enough.
    result.measurements.append(measurement("us", 1, 3.0))
    result.hold("everyone waits, p99", "us", "reply", 99.0, 2.0)
    assert [(made.met, round(made.value)) for made in result.targets] == [(False, 49)]


@pytest.mark.parametrize(
    ("longest", "missing", "counts", "judged"),
    [
        # Others can only make a time longer: one that is short enough is that on a free machine.
        (5.0, 0, {}, [True]),
        # Whether one that is too long is so by its own fault, nobody can tell.
        (15.0, 0, {}, []),
        # The slow ones may be those that never came, or were refused.
        (5.0, 1, {}, []),
        (5.0, 0, {f"{REFUSED} no_capacity": 1}, []),
    ],
)
def test_on_a_disturbed_machine_a_bound_can_be_kept_and_not_missed(
    longest: float, missing: int, counts: dict[str, int], judged: list[bool]
) -> None:
    result = ScenarioResult("s", "", {})
    measured = measurement("us", 0, *[longest] * 100)
    measured.missing, measured.counts = missing, counts
    result.measurements = [measured]
    result.noise = ["other processes kept 0.30 processors busy in round 1 of us"]
    result.hold("everyone waits, p99", "us", "reply", 99.0, 10.0)
    assert [target.met for target in result.judged()] == judged


@pytest.mark.parametrize("few", ["subject", "floor"])
def test_a_ratio_of_rounds_of_which_one_has_too_few_is_not_judged(few: str) -> None:
    result = ScenarioResult("s", "", {})
    p99 = Comparison("p99", "subject", "floor", percentile_of("reply", 99.0), 3.0)
    for number in range(2):
        for side in ("subject", "floor"):
            count = 49 if number and side == few else 50
            result.measurements.append(measurement(side, number, *[1.0] * count))
    result.compare(p99)
    assert (result.targets, result.noise) == ([], [])
    assert result.facts == {"p99 is not judged": "98 are too few for a p99, which takes 100"}
    result.measurements = [m for m in result.measurements if m.round == 0]
    result.compare(p99)
    assert [made.ratio for made in result.targets] == [1.0]
