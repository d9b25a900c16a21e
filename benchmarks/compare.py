"""What moved between two runs, and whether it is more than their noise.

Of a latency the percentiles of each round are compared. It moved when the medians differ by more
than a tenth, and when rounds of equal runs would be as far apart in less than one of twenty cases
(the rank test of Mann and Whitney, which asks nothing of how latencies are spread). The rounds of
a run share its hour, and a shared machine may be half as fast an hour later: where the floor or
the peer of the same run moved as well, the ratio to that, round by round, decides. What a run
itself called too noisy to tell is not told here either, but for memory.
"""

from __future__ import annotations

import itertools
import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from benchmarks.histogram import USUAL, enough
from benchmarks.result import DISAGREE

LEAST_CHANGE = 0.10
MOST_CHANCE = 0.05
FEWEST_ROUNDS = 4
"""Of each run: three and three are apart by chance in one of ten cases, however far."""
MOST_EXACT = 200_000
"""Ways to divide the rounds up to which all are looked at; above, the normal law is near enough."""
MEMORY = "memory MB"
FACTS = ("processor", "processors", "system", "python")
"""Of the machine: where they differ, so may everything."""


class SavedMeasurement(BaseModel):
    """One side in one round, as saved."""

    side: str
    round: int
    summary: dict[str, dict[str, float]]
    processor_share: float
    memory_mb: float


class SavedTarget(BaseModel):
    """Which side a target compared with which, as saved."""

    subject: str = ""
    reference: str = ""


class SavedScenario(BaseModel):
    """A scenario, as saved."""

    name: str
    parameters: dict[str, object] = {}
    noise: list[str]
    noise_apart: dict[str, list[str]] = {}
    measurements: list[SavedMeasurement]
    targets: list[SavedTarget] = []

    @property
    def disturbed(self) -> bool:
        """Whether others disturbed it; that its rounds disagree the test sees by itself."""
        return any(DISAGREE not in sign for sign in self.noise)

    def disturbed_sides(self) -> list[str]:
        """Return the sides that alone were disturbed."""
        named = self.noise_apart.items()
        return [side for side, signs in named if any(DISAGREE not in sign for sign in signs)]


class SavedRun(BaseModel):
    """A run, as saved."""

    at: str
    machine: dict[str, object]
    scenarios: list[SavedScenario]
    failed: list[str] = []
    """What did not start, and why."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number in two runs."""

    name: str
    before: float
    after: float
    chance: float
    """How probable so large a difference is between equal runs."""
    verdict: str

    @property
    def moved(self) -> bool:
        return self.verdict in ("less", "more")

    @property
    def judged(self) -> bool:
        """Whether it could have moved."""
        return not self.verdict.startswith("too ")

    @property
    def ratio(self) -> float:
        return self.after / self.before if self.before else float("inf")


def load(path: Path) -> SavedRun:
    return SavedRun.model_validate_json(path.read_text(encoding="utf-8"))


def changes(before: SavedRun, after: SavedRun) -> Iterator[Change]:
    """Compare every number that both runs have."""
    pairs = list(dict.fromkeys([*references(before), *references(after)]))
    earlier = dict(numbers(before, pairs))
    scenarios = [one for run in (before, after) for one in run.scenarios]
    noisy = {one.name for one in scenarios if one.disturbed}
    noisy |= {f"{one.name}, {side}" for one in scenarios for side in one.disturbed_sides()}
    found: dict[str, Change] = {}
    for name, values in numbers(after, pairs):
        if name in earlier:
            made = change(name, earlier[name], values)
            scenario, sides = name.split(", ")[:2]
            parts = {scenario, *(f"{scenario}, {side}" for side in sides.split(" over "))}
            if parts & noisy and not name.endswith(MEMORY):
                made = replace(made, verdict="too noisy to tell")
            found[name] = made
    for scenario, subject, reference in pairs:
        side = f"{scenario}, {subject}, "
        for name in [name for name, made in found.items() if name.startswith(side) and made.moved]:
            what = name.removeprefix(side)
            beside = found.get(f"{scenario}, {reference}, {what}")
            ratio = found.get(over(scenario, subject, reference, what))
            if beside is None or ratio is None:
                continue
            if beside.verdict == found[name].verdict and not ratio.moved:
                found[name] = replace(found[name], verdict=f"as {reference} did")
    yield from found.values()


def cautions(before: SavedRun, after: SavedRun) -> Iterator[str]:
    """Say what the two runs do not have in common, and what noise they named themselves."""
    for fact in FACTS:
        was, now = before.machine.get(fact), after.machine.get(fact)
        if was != now:
            yield f"{fact}: {was} before, {now} after"
    old, new = _versions(before), _versions(after)
    for package in sorted(old.keys() | new.keys()):
        if old.get(package) != new.get(package):
            yield f"{package}: {old.get(package)} before, {new.get(package)} after"
    for which, run in (("before", before), ("after", after)):
        for failure in run.failed:
            yield f"not measured in the run {which}: {failure}"
    earlier = {scenario.name: scenario for scenario in before.scenarios}
    for scenario in after.scenarios:
        if scenario.name not in earlier:
            continue
        was = earlier[scenario.name]
        for which, one in (("before", was), ("after", scenario)):
            if one.noise:
                yield f"{one.name}: the run {which} named {len(one.noise)} sign(s) of noise"
        for name, now in scenario.parameters.items():
            if name in was.parameters and was.parameters[name] != now:
                yield f"{scenario.name}: {name} was {was.parameters[name]}, now {now}"


def _versions(run: SavedRun) -> Mapping[str, object]:
    """Return the versions of the packages that a run had; of old files none."""
    found = run.machine.get("packages")
    return found if isinstance(found, dict) else {}


def references(run: SavedRun) -> Iterator[tuple[str, str, str]]:
    """Yield scenario, side and what that is held against; a noisy run has no targets to say it."""
    for scenario in run.scenarios:
        for target in scenario.targets:
            if target.subject:
                yield scenario.name, target.subject, target.reference


def over(scenario: str, subject: str, reference: str, what: str) -> str:
    """Name the ratio of one number of two sides."""
    return f"{scenario}, {subject} over {reference}, {what.removesuffix(' ms')}"


def numbers(
    run: SavedRun, pairs: Iterable[tuple[str, str, str]]
) -> Iterator[tuple[str, list[float]]]:
    """Yield each number's name with its value in every round, then the ratios of the pairs."""
    found: dict[str, list[float]] = {}
    rounds: dict[tuple[str, str, int], dict[str, float]] = {}
    for scenario in run.scenarios:
        for measured in scenario.measurements:
            values = values_of(measured)
            rounds[scenario.name, measured.side, measured.round] = values
            for what, value in values.items():
                found.setdefault(f"{scenario.name}, {measured.side}, {what}", []).append(value)
    for scenario_name, subject, reference in pairs:
        for (name, side, number), values in rounds.items():
            beside = rounds.get((name, reference, number), {})
            if (name, side) == (scenario_name, subject):
                for what, value in values.items():
                    if what != MEMORY and beside.get(what):
                        ratio = over(name, subject, reference, what)
                        found.setdefault(ratio, []).append(value / beside[what])
    yield from found.items()


def values_of(measured: SavedMeasurement) -> dict[str, float]:
    """Return what is compared of one side in one round."""
    found = {
        f"{histogram} {percentile} ms": summary[percentile]
        for histogram, summary in measured.summary.items()
        for percentile in ("p50", "p99")
        # Also of files from before summaries left out what their values do not bear.
        if percentile in summary and summary["count"] >= enough(USUAL[percentile])
    }
    return {**found, "processors": measured.processor_share, MEMORY: measured.memory_mb}


def change(name: str, before: Sequence[float], after: Sequence[float]) -> Change:
    """Judge one number by its values in the rounds of both runs."""
    was, now = statistics.median(before), statistics.median(after)
    chance = chance_of(before, after)
    if min(len(before), len(after)) < FEWEST_ROUNDS:
        verdict = "too few rounds to tell"
    elif was == now or (was and abs(now / was - 1) < LEAST_CHANGE):
        verdict = "the same"
    elif chance > MOST_CHANCE:
        verdict = "within the noise"
    else:
        verdict = "less" if now < was else "more"
    return Change(name, was, now, chance, verdict)


def chance_of(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how probable ranks so unequal are when both come from the same source; two-sided.

    Source: Mann and Whitney, Annals of Mathematical Statistics 18 (1947); equal values share ranks.
    """
    pooled = ranks([*one, *other])
    expected = len(one) * (len(pooled) + 1) / 2
    apart = abs(sum(pooled[: len(one)]) - expected)
    ways = math.comb(len(pooled), len(one))
    if ways <= MOST_EXACT:
        as_far = sum(
            abs(sum(chosen) - expected) >= apart - 1e-9
            for chosen in itertools.combinations(pooled, len(one))
        )
        return as_far / ways
    middle = (len(pooled) + 1) / 2
    spread = sum((rank - middle) ** 2 for rank in pooled)
    variance = len(one) * len(other) * spread / (len(pooled) * (len(pooled) - 1))
    if variance == 0:
        return 1.0
    # Half a rank less: the sums of ranks come in steps.
    return 2 * (1 - statistics.NormalDist().cdf(max(0.0, apart - 0.5) / math.sqrt(variance)))


def ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank from one; equal values have the mean of theirs."""
    order = sorted(values)
    return [(bisect_left(order, value) + bisect_right(order, value) + 1) / 2 for value in values]
