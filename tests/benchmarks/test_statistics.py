"""Histograms, ratios and comparisons say what the numbers say."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.histogram import Histogram, bucket_of
from benchmarks.result import Measurement, ScenarioResult, compared, percentile_of

latencies = st.lists(st.floats(min_value=1e-6, max_value=3600.0), min_size=1, max_size=200)


def histogram(*milliseconds: float) -> Histogram:
    made = Histogram()
    for value in milliseconds:
        made.record(value / 1e3)
    return made


def measurement(side: str, number: int, *milliseconds: float) -> Measurement:
    return Measurement(
        side, number, {"reply": histogram(*milliseconds)}, Histogram(), len(milliseconds), 0
    )


@given(latencies, st.sampled_from([50.0, 90.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_right_to_a_hundredth(seconds: list[float], percent: float) -> None:
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


def test_an_empty_histogram_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="empty"):
        Histogram().percentile(50)


def test_a_ratio_is_taken_within_each_round() -> None:
    # The machine became ten times slower in round 1: both sides did, so the ratio did not move.
    rounds = [
        measurement("subject", 0, 2.0),
        measurement("floor", 0, 1.0),
        measurement("floor", 1, 10.0),
        measurement("subject", 1, 20.0),
    ]
    target = compared("p50", rounds, "subject", "floor", percentile_of("reply", 50), 2.5)
    assert target.ratio == pytest.approx(2.0, rel=0.02)
    assert target.met


def test_the_ratio_is_the_median_of_the_rounds_and_its_spread_their_quartiles() -> None:
    rounds = [
        measurement(side, number, value)
        for number, subject in enumerate([5.0, 1.0, 2.0, 3.0, 4.0])
        for side, value in (("subject", subject), ("floor", 1.0))
    ]
    target = compared("p50", rounds, "subject", "floor", percentile_of("reply", 50), 2.5)
    assert target.ratio == pytest.approx(3.0, rel=0.02)
    assert target.spread is not None
    assert list(target.spread) == pytest.approx([2.0, 4.0], rel=0.02)
    assert not target.met


def test_rounds_that_disagree_are_noise() -> None:
    result = ScenarioResult("s", "", {})
    rounds = [
        measurement(side, number, value)
        for number, pair in enumerate([(1.0, 1.0), (3.0, 1.0), (9.0, 1.0), (1.0, 1.0)])
        for side, value in zip(("subject", "floor"), pair, strict=True)
    ]
    result.judge(compared("p50", rounds, "subject", "floor", percentile_of("reply", 50), 1.5))
    assert any("disagree" in noise for noise in result.noise)


def test_times_faster_is_the_ratio_upside_down() -> None:
    rounds = [measurement("subject", 0, 1.0), measurement("naive", 0, 12.0)]
    target = compared(
        "faster",
        rounds,
        "subject",
        "naive",
        percentile_of("reply", 50),
        8.0,
        direction="at least",
        inverse=True,
    )
    assert target.ratio == pytest.approx(12.0, rel=0.02)
    assert target.met
