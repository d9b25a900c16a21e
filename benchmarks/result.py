"""What a run found, as it stands in the JSON file.

A noisy run has measurements and noise, and of its targets only those that no noise can move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

from benchmarks.histogram import Histogram, TooFew
from benchmarks.machine import MAX_SPREAD
from benchmarks.measurement import Measurement
from benchmarks.targets import Comparison, Target, absolute

FORMAT = 1
LATE = "sent late"
"""What the load's own lateness is called beside latencies, which contain it."""
DISAGREE = "the rounds disagree"
"""Noise that the rounds themselves show, whoever made it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity over another: over the time of a run, over load, over the size of a session."""

    over: str
    """What is on the horizontal axis, with its unit; one plot for each."""
    panel: str
    """What is on the vertical axis, with its unit; lines of one panel are drawn together."""
    name: str
    points: list[tuple[float, float]]
    shape: Literal["line", "points", "steps"] = "line"
    """Points have nothing between them; a step holds until the next one."""


@dataclass(slots=True)
class ScenarioResult:
    """Everything one scenario found."""

    name: str
    summary: str
    parameters: dict[str, object]
    measurements: list[Measurement] = field(default_factory=list)
    discarded: list[Measurement] = field(default_factory=list)
    """Disturbed and measured again: they count for nothing, and their rounds are the attempts."""
    targets: list[Target] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    apart: frozenset[str] = frozenset()
    """Sides that others are measured without: their noise hides nothing but them."""
    noise_apart: dict[str, list[str]] = field(default_factory=dict)
    """The noise of each of those."""
    facts: dict[str, object] = field(default_factory=dict)
    """What is neither a latency nor a target."""
    lines: list[Line] = field(default_factory=list)
    steps: tuple[str, ...] = ()
    """Histograms that follow one another from one moment, in order: a time line."""
    since: str = "the beginning"
    """What that moment is."""

    @property
    def signs(self) -> list[str]:
        """All signs of noise, whatever they hide."""
        return [sign for _, signs in self.noise_by_side() for sign in signs]

    def noise_by_side(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the signs that hide all, under "", and those of each side that is apart."""
        if self.noise:
            yield "", self.noise
        yield from self.noise_apart.items()

    def judged(self) -> list[Target]:
        """Return the targets that mean something: of a noisy run, or side, only the robust ones."""
        return [
            target
            for target in self.targets
            if target.robust
            or not (self.noise or {target.subject, target.reference} & self.noise_apart.keys())
        ]

    def disturb(self, sign: str, side: str) -> None:
        """Name what disturbed a side, and with it all but those that are apart."""
        if side in self.apart:
            self.noise_apart.setdefault(side, []).append(sign)
        else:
            self.noise.append(sign)

    def judge(self, target: Target) -> None:
        """Add a target, or the noise that keeps it from meaning anything.

        Rounds that lie far apart are noise, but where there are four at least and all of them, met
        or missed, say the same: that is a finding.
        """
        self.targets.append(target)
        if target.spread is not None and target.ratio:
            low, high = target.spread
            limit = MAX_SPREAD * (3 if "p99" in target.name else 1)
            if (high - low) / target.ratio > limit and not target.unanimous:
                which = "quartiles" if target.has_quartiles else "from"
                between = "and" if target.has_quartiles else "to"
                sign = f"{target.name}: {DISAGREE}, {which} {low:.2f} {between} {high:.2f}"
                self.disturb(sign, target.subject)

    def leave(self, name: str, why: object) -> None:
        """Say why something is not judged, of which noise is not the reason."""
        self.facts[f"{name} is not judged"] = str(why)

    def compare(self, comparison: Comparison) -> None:
        """Hold one side against another; what has no value is noise, what has too few is left."""
        try:
            self.judge(comparison.over(self.measurements))
        except TooFew as few:
            self.leave(comparison.name, few)
        except ValueError as error:
            self.disturb(str(error), comparison.subject)

    def hold(self, name: str, side: str, histogram: str, percent: float, most_ms: float) -> None:
        """Hold a percentile of all of a side's rounds against a number; without any it is noise.

        Whatever else the machine did can only have made it longer, so one that keeps the bound
        where everything was answered keeps it on a disturbed machine, too; it cannot miss it there.
        """
        pooled = self.pooled(side, histogram)
        if not pooled.count:
            self.noise.append(f"{name}: nothing was measured")
            return
        try:
            target = absolute(name, pooled.percentile(percent), most_ms, unit="ms")
        except TooFew as few:
            self.leave(name, few)
            return
        measured = [m for m in self.measurements if m.side == side]
        target.robust = target.met and not any(m.missing or m.refused for m in measured)
        self.judge(target)

    def sides(self) -> list[str]:
        return list(dict.fromkeys(m.side for m in self.measurements))

    def pooled(self, side: str, histogram: str) -> Histogram:
        """Add up one side's rounds."""
        whole = Histogram()
        for measurement in self.measurements:
            if measurement.side == side and histogram in measurement.histograms:
                whole.add(measurement.histograms[histogram])
        return whole

    def latencies(self, side: str) -> Iterator[tuple[str, Histogram]]:
        """Yield what was measured of a side, all rounds together, and how late its load sent."""
        mine = [m for m in self.measurements if m.side == side]
        for name in dict.fromkeys(name for m in mine for name in m.histograms):
            yield name, self.pooled(side, name)
        late = Histogram()
        for measurement in mine:
            late.add(measurement.lateness)
        yield LATE, late

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "summary": self.summary,
            "parameters": self.parameters,
            "noise": self.noise,
            "noise_apart": self.noise_apart,
            "facts": self.facts,
            "targets": [asdict(target) for target in self.judged()],
            "lines": [asdict(line) for line in self.lines],
            "measurements": [measurement.to_json() for measurement in self.measurements],
            "discarded": [measurement.to_json() for measurement in self.discarded],
        }


def tell_beside(
    result: ScenarioResult,
    name: str,
    subject: str,
    reference: str,
    value_of: Callable[[Measurement], float],
) -> None:
    """Say among the facts how a side compares with one that no target names."""
    try:
        beside = Comparison(name, subject, reference, value_of, 0.0).over(result.measurements)
    except ValueError as error:
        result.facts[name] = str(error)
        return
    assert beside.ratio is not None
    assert beside.spread is not None
    low, high = beside.spread
    result.facts[name] = f"{beside.ratio:.2f} ({low:.2f} to {high:.2f})"
