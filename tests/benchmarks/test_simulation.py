"""The simulation agrees with what queueing theory says where it says anything."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.scenarios.capacity import session_processors
from benchmarks.simulation import Outcome, Supply, Traffic, fewest_standbys, simulate


def supply(standbys: int, **changed: float) -> Supply:
    return Supply(
        standbys=standbys,
        start_seconds=changed.get("start_seconds", 2.0),
        starts_at_once=int(changed.get("starts_at_once", 2)),
        members=int(changed.get("members", 10_000)),
    )


def test_the_same_seed_is_the_same_day() -> None:
    traffic = Traffic(600, 6)
    one = simulate(traffic, supply(3), 5, 5)
    assert one == simulate(traffic, supply(3), 5, 5)
    assert one != simulate(traffic, supply(3), 6, 5)


def test_lengths_have_the_mean_they_were_given() -> None:
    traffic, chance = Traffic(1, 8), random.Random(3)
    mean = sum(traffic.length(chance) for _ in range(20_000)) / 20_000
    assert mean == pytest.approx(8 * 60, rel=0.05)


def test_with_starts_that_take_no_time_nobody_waits() -> None:
    outcome = simulate(Traffic(3600, 2), supply(1, start_seconds=1e-9), 1, 3)
    assert outcome.openings > 2_000
    assert outcome.wait(99.9) < 1e-6
    assert outcome.refused == 0


def test_waiting_follows_the_poisson_law() -> None:
    """With starts without limit, an opening waits when as many came within one start before it."""
    rate, start, standbys = 0.5, 4.0, 4
    outcome = simulate(
        Traffic(rate * 3600, 1),
        supply(standbys, start_seconds=start, starts_at_once=1_000_000),
        2,
        40,
    )
    mean = rate * start
    fewer = sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(standbys))
    assert outcome.waited_share == pytest.approx(1 - fewer, rel=0.1)


def test_a_larger_pool_never_waits_more() -> None:
    shares = [simulate(Traffic(1200, 6), supply(n), 4, 10).waited_share for n in (1, 3, 6)]
    assert shares == sorted(shares, reverse=True)


def test_full_machines_refuse() -> None:
    outcome = simulate(Traffic(600, 10), supply(1, members=20), 1, 5)
    assert outcome.peak_sessions <= 20
    assert outcome.refused > 0


def test_the_fewest_standbys_are_enough_and_one_less_is_not() -> None:
    traffic = Traffic(1200, 8)
    found, outcome = fewest_standbys(traffic, supply(1), waiting_share=0.01, hours=10, seed=1)
    assert outcome.waited_share <= 0.01
    assert found > 1
    assert simulate(traffic, supply(found - 1), 1, 10).waited_share > 0.01


def test_starts_that_cannot_follow_are_said_so() -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        fewest_standbys(
            Traffic(7200, 5), supply(1, members=400), waiting_share=0.01, hours=2, seed=1
        )


def test_the_wait_counts_those_who_did_not_wait() -> None:
    outcome = Outcome(openings=100, waits=[1.0, 2.0])
    assert outcome.wait(50) == 0.0
    assert outcome.wait(99) == 1.0
    assert outcome.wait(100) == 2.0


def test_two_people_forward_each_others_packets() -> None:
    assert session_processors(2, 10.0) == pytest.approx(2 * 180 * 10e-6)
