"""The simulation agrees with what queueing theory says where it says anything."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from actors.placement import Place
from actors.pool import PoolPolicy
from benchmarks.histogram import TooFew
from benchmarks.simulation import (
    Opening,
    Outcome,
    Simulation,
    Supply,
    Traffic,
    fewest_standbys,
    simulate,
)


def supply(standbys: int, **changed: float) -> Supply:
    policy = PoolPolicy(
        target=standbys, target_limit=0, starting_limit=int(changed.get("starts_at_once", 2))
    )
    return Supply(
        policy=policy,
        places=(Place("node", "", slots=int(changed.get("members", 10_000))),),
        start_seconds=(changed.get("start_seconds", 2.0),),
    )


def test_the_same_seed_is_the_same_day() -> None:
    traffic = Traffic(600, 6)
    one = simulate(traffic, supply(3), 5, 1)
    assert one == simulate(traffic, supply(3), 5, 1)
    assert one != simulate(traffic, supply(3), 6, 1)


def test_lengths_have_the_mean_they_were_given() -> None:
    traffic, chance = Traffic(1, 8), random.Random(3)
    mean = sum(traffic.length(chance) for _ in range(20_000)) / 20_000
    assert mean == pytest.approx(8 * 60, rel=0.05)


def test_with_starts_that_take_no_time_nobody_waits() -> None:
    outcome = simulate(Traffic(3600, 2), supply(1, start_seconds=1e-9), 1, 1)
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
        8,
    )
    mean = rate * start
    fewer = sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(standbys))
    assert outcome.waited_share == pytest.approx(1 - fewer, rel=0.1)


def test_starts_at_work_at_once_share_their_machine() -> None:
    """Reckoned by hand: alone 1 s, two at once 1.6 s each."""
    openings = [Opening(at, stays=60.0) for at in (0.0, 0.5, 1.5)]
    rushed = replace(supply(1), start_seconds=(1.0, 1.6))
    outcome = Simulation(openings, rushed).run()
    # The first start is half done at 0.5, and its rest takes 0.8; the second is at 0.5 by then, at
    # 0.7 when the third joins, and its rest takes 0.48.
    assert outcome.waited == pytest.approx([0.0, 0.8, 0.48])


def nodes(target: int, *places: Place) -> Supply:
    return Supply(PoolPolicy(target=target, target_limit=0), places, start_seconds=(1.0,))


def test_an_opening_gets_a_node_of_its_label_or_is_refused_when_those_are_full() -> None:
    three = nodes(2, Place("a", "eu", 1), Place("b", "us", 4), Place("c", "us", 4))
    openings = [Opening(at, 600.0, label) for at, label in enumerate(["eu", "eu", "us", "us"])]
    outcome = Simulation(openings, three).run(until=500.0)
    assert [waited is None for waited in outcome.waited] == [False, True, False, False]
    assert set(outcome.started) == {"b", "c"}, "nothing more fits on the first"


def test_the_sessions_of_the_fullest_node_have_standbys_beside_it() -> None:
    """Eight sessions on two nodes: a death costs four, so four more stand on each."""
    two = nodes(2, Place("a", "", 100), Place("b", "", 100))
    outcome = Simulation([Opening(10.0 * n, 6_000.0) for n in range(8)], two).run(until=200.0)
    assert outcome.standbys[-1][1] == 8
    alone = nodes(2, Place("a", "", 100))
    outcome = Simulation([Opening(10.0 * n, 6_000.0) for n in range(8)], alone).run(until=200.0)
    assert outcome.standbys[-1][1] == 2


def test_who_gives_up_leaves_the_standby_that_was_started_for_it() -> None:
    slow = replace(supply(0, start_seconds=6.0), patience_seconds=5.0)
    outcome = Simulation([Opening(0.0, 60.0), Opening(1.0, 60.0)], slow).run()
    assert outcome.waited == [None, 5.0]
    assert (outcome.refused, outcome.peak_standbys) == (1, 1)


def test_a_larger_pool_never_waits_more() -> None:
    shares = [simulate(Traffic(1200, 6), supply(n), 4, 3).waited_share for n in (1, 3, 6)]
    assert shares == sorted(shares, reverse=True)


def test_full_machines_refuse() -> None:
    outcome = simulate(Traffic(600, 10), supply(1, members=20), 1, 5)
    assert outcome.peak_sessions <= 20
    assert outcome.refused > 0


def test_the_fewest_standbys_are_enough_and_one_less_is_not() -> None:
    traffic = Traffic(1200, 8)
    found, outcome = fewest_standbys(traffic, supply(1), waiting_share=0.01, hours=3, seed=1)
    assert outcome.waited_share <= 0.01
    assert found > 1
    assert simulate(traffic, supply(found - 1), 1, 3).waited_share > 0.01


def test_starts_that_cannot_follow_are_said_so() -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        fewest_standbys(
            Traffic(7200, 5), supply(1, members=100), waiting_share=0.01, hours=0.5, seed=1
        )


def test_the_wait_counts_those_who_did_not_wait() -> None:
    outcome = Outcome(waited=[2.0, *[0.0] * 97, 1.0, None])
    assert outcome.wait(50) == 0.0
    assert outcome.wait(98) == 1.0
    assert outcome.wait(99) == 2.0
    assert outcome.longest_wait == math.inf
    assert outcome.waited_share == 0.03
    few = Outcome(waited=[2.0, *[0.0] * 98])
    assert few.longest_wait == 2.0
    with pytest.raises(TooFew, match="99 are too few for a p99"):
        few.wait(99)
    assert Outcome().longest_wait == 0.0
