"""What moved between two runs, and whether it is more than their noise.

Of a latency the percentiles of each round are compared: it moved when the medians differ by more
than a tenth and the quartiles of the rounds do not overlap.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from benchmarks.result import quartiles

LEAST_CHANGE = 0.10
FEWEST_ROUNDS = 3


class SavedMeasurement(BaseModel):
    """One side in one round, as saved."""

    side: str
    round: int
    summary: dict[str, dict[str, float]]
    processor_share: float
    memory_mb: float


class SavedScenario(BaseModel):
    """A scenario, as saved."""

    name: str
    noise: list[str]
    measurements: list[SavedMeasurement]


class SavedRun(BaseModel):
    """A run, as saved."""

    at: str
    machine: dict[str, object]
    scenarios: list[SavedScenario]


@dataclass(frozen=True, slots=True)
class Change:
    """One number in two runs."""

    name: str
    before: float
    after: float
    verdict: str

    @property
    def ratio(self) -> float:
        return self.after / self.before if self.before else float("inf")


def load(path: Path) -> SavedRun:
    return SavedRun.model_validate_json(path.read_text(encoding="utf-8"))


def changes(before: SavedRun, after: SavedRun) -> Iterator[Change]:
    """Compare every number that both runs have."""
    earlier = dict(numbers(before))
    for name, values in numbers(after):
        if name in earlier:
            yield change(name, earlier[name], values)


def numbers(run: SavedRun) -> Iterator[tuple[str, list[float]]]:
    """Yield each number's name with its value in every round."""
    found: dict[str, list[float]] = {}
    for scenario in run.scenarios:
        for measurement in scenario.measurements:
            prefix = f"{scenario.name}, {measurement.side}"
            for histogram, summary in measurement.summary.items():
                for percentile in ("p50", "p99"):
                    if percentile in summary:
                        name = f"{prefix}, {histogram} {percentile} ms"
                        found.setdefault(name, []).append(summary[percentile])
            found.setdefault(f"{prefix}, processors", []).append(measurement.processor_share)
            found.setdefault(f"{prefix}, memory MB", []).append(measurement.memory_mb)
    yield from found.items()


def change(name: str, before: list[float], after: list[float]) -> Change:
    """Judge one number."""
    was, now = statistics.median(before), statistics.median(after)
    if min(len(before), len(after)) < FEWEST_ROUNDS:
        verdict = "too few rounds to tell"
    elif was == 0 or abs(now / was - 1) < LEAST_CHANGE:
        verdict = "the same"
    elif overlap(quartiles(before), quartiles(after)):
        verdict = "within the noise"
    else:
        verdict = "less" if now < was else "more"
    return Change(name, was, now, verdict)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
