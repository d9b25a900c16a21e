"""A measured run of session starts, and what the simulation makes of it.

What a start costs is taken from parts of the run: some that had the machine for themselves, and
storms. The simulation then gets when the openings of the whole run came, and nothing else of it.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.arrivals import Trace
from benchmarks.simulation import Opening, Outcome, Simulation, Supply
from benchmarks.subject import Look

SHARED_AT_MOST = 8.0
"""Starts at work at once take so many times as long as alone, at most."""
HALVINGS = 30


@dataclass(frozen=True, slots=True)
class Replay:
    """Openings of one run and what the pool held meanwhile, on one clock."""

    trace: Trace
    looks: Sequence[Look]
    stay_s: float
    """How long each session stayed."""
    answer_s: float = 0.0
    """What an opening takes that finds a standby; the simulation knows of no such time."""

    @property
    def began(self) -> float:
        return self.looks[0].at

    def measured(self) -> Outcome:
        """Return what was measured in the simulation's words; its clock begins with the looks."""
        return Outcome(
            waited=[waited for _, waited in self.trace],
            standbys=[(look.at - self.began, look.standbys) for look in self.looks],
        )

    def predicted(self, supply: Supply) -> Outcome:
        """Simulate it: the openings come when they came."""
        openings = [Opening(at - self.began, self.stay_s) for at, _ in self.trace]
        outcome = Simulation(openings, supply).run()
        outcome.waited = [
            None if waited is None else waited + self.answer_s for waited in outcome.waited
        ]
        return outcome

    def part(self, outcome: Outcome, begin: float, end: float) -> Outcome:
        """Return what of an outcome happened between two moments of the machine's clock."""
        inside = [begin <= at < end for at, _ in self.trace]
        first, last = begin - self.began, end - self.began
        before = [count for at, count in outcome.standbys if at <= first][-1:]
        return Outcome(
            waited=list(itertools.compress(outcome.waited, inside)),
            standbys=[
                *((first, count) for count in before),
                *((at, count) for at, count in outcome.standbys if first < at < last),
            ],
        )


def alone_seconds(lone: Trace, looks: Sequence[Look]) -> float:
    """Return how long a start takes alone, from openings that each find the pool at rest.

    From the answer to the opening until one more session actor is there.

    Raises:
        ValueError: no opening was followed by a start.
    """
    took = []
    for at, waited in lone:
        if waited is None:
            continue
        taken = at + waited
        there = [0, *(look.members for look in looks if look.at <= taken)][-1]
        came = [look.at for look in looks if look.at > taken and look.members > there]
        if came:
            took.append(came[0] - taken)
    if not took:
        raise ValueError("No start followed the openings that each had the pool for themselves.")
    return statistics.median(took)


Stretch = tuple[float, float]
"""From when to when, on the machine's clock."""


def shared_seconds(
    replay: Replay, storms: Sequence[Stretch], supply: Supply, alone: float
) -> float:
    """Return how long each of two starts at work takes, with which storms' mean wait is right.

    Two starts are at work for most of a storm.
    """

    def mean_wait(outcome: Outcome) -> float:
        waits = itertools.chain(*(replay.part(outcome, *storm).waited for storm in storms))
        # A refusal counts as its bound.
        bound = supply.patience_seconds
        return statistics.fmean(bound if each is None else each for each in waits)

    truth = mean_wait(replay.measured())
    low, high = alone, alone * SHARED_AT_MOST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        told = replay.predicted(replace(supply, start_seconds=(alone, middle)))
        if mean_wait(told) < truth:
            low = middle
        else:
            high = middle
    return (low + high) / 2
