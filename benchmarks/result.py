"""What a run found, as it stands in the JSON file.

Ratios are taken within one round, between neighbours in time; a target's ratio is the median over
the rounds, and its spread the quartiles, of fewer than four rounds the least and the most. A noisy
run has measurements and noise, and of its targets only those that no noise can move.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from benchmarks.arrivals import REFUSED, Trace
from benchmarks.histogram import Histogram, TooFew
from benchmarks.machine import MAX_SPREAD
from benchmarks.sampler import Usage

FORMAT = 1
LATE = "sent late"
"""What the load's own lateness is called beside latencies, which contain it."""
DISAGREE = "the rounds disagree"
"""Noise that the rounds themselves show, whoever made it."""
ROUNDS_THAT_TELL = 4
"""Of so many rounds that fall to either side by chance, one of eight runs has all on one."""

Direction: TypeAlias = Literal["at most", "at least"]


@dataclass(slots=True)
class Measurement:
    """One side in one round."""

    side: str
    round: int
    histograms: dict[str, Histogram]
    lateness: Histogram
    sent: int
    missing: int
    seconds: float = 0.0
    foreign_share: float = 0.0
    """Processors that others kept busy meanwhile."""
    usage: list[Usage] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """What the load counted beside latencies."""
    trace: Trace = field(default_factory=list)
    """What became of each thing sent, of loads that say so."""
    forwarded: float | None = None
    """Which share came out of the media that were due beside it; `None`: there were none."""

    @property
    def processor_share(self) -> float:
        """Processors that the side's servers kept busy, all together."""
        return sum(u.processor_seconds for u in self.usage) / max(self.seconds, 1e-9)

    def cost_ms(self, silence: float = 0.0) -> float:
        """Return the servers' processor time for each message, beyond what silence takes.

        `silence` is in processors.
        """
        return 1e3 * (self.processor_share - silence) * self.seconds / max(self.sent, 1)

    @property
    def refused(self) -> int:
        """How many of what was sent the broker refused, as the load counted them."""
        return sum(n for what, n in self.counts.items() if what.startswith(REFUSED))

    @property
    def memory_mb(self) -> float:
        return sum(u.memory_bytes for u in self.usage) / 2**20

    def to_json(self) -> dict[str, object]:
        return {
            "side": self.side,
            "round": self.round,
            "sent": self.sent,
            "missing": self.missing,
            "counts": self.counts,
            "seconds": round(self.seconds, 3),
            "foreign_share": round(self.foreign_share, 3),
            **({} if self.forwarded is None else {"forwarded": round(self.forwarded, 4)}),
            "processor_share": round(self.processor_share, 4),
            "memory_mb": round(self.memory_mb, 1),
            "lateness": self.lateness.summary(),
            "lateness_histogram": self.lateness.to_json(),
            "summary": {name: h.summary() for name, h in self.histograms.items()},
            "histograms": {name: h.to_json() for name, h in self.histograms.items()},
            "processes": [
                {
                    "name": u.name,
                    "processor_ms": round(u.processor_seconds * 1e3, 2),
                    "memory_mb": round(u.memory_bytes / 2**20, 1),
                    **(
                        {"descriptors": u.descriptors, "threads": u.threads}
                        if u.descriptors is not None
                        else {}
                    ),
                }
                for u in self.usage
            ],
        }


@dataclass(slots=True)
class Target:
    """A value, what it is compared with, and whether it is good enough."""

    name: str
    value: float
    unit: str
    reference: str
    reference_value: float | None
    ratio: float | None
    target: float
    direction: Direction
    met: bool
    subject: str = ""
    """The side whose value it is, where it is compared with another's, the reference."""
    spread: tuple[float, float] | None = None
    """Of the ratio over the rounds (`spread_of`)."""
    ratios: tuple[float, ...] = ()
    """Of each round."""
    robust: bool = False
    """Whether it holds whatever else the machine did: a count, a size, a time short enough in spite
    of it. Noise hides it not."""

    @property
    def unanimous(self) -> bool:
        """Whether enough rounds were measured for each by itself to tell, and all say the same."""
        verdicts = {_meets(ratio, self.target, self.direction) for ratio in self.ratios}
        return self.has_quartiles and len(verdicts) == 1

    @property
    def has_quartiles(self) -> bool:
        """Whether its spread is the quartiles, and not all there is."""
        return len(self.ratios) >= ROUNDS_THAT_TELL


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """One side held against another, round by round.

    The ratio is the subject's value over the reference's; with `inverse` the other way round, for
    "n times faster".
    """

    name: str
    subject: str
    reference: str
    value_of: Callable[[Measurement], float]
    target: float
    unit: str = "ms"
    direction: Direction = "at most"
    inverse: bool = False

    def over(self, measurements: Iterable[Measurement]) -> Target:
        """Compare the two sides among these.

        Raises:
            TooFew: a round of one of them has too few values for the percentile.
            ValueError: there is a round in which one of the two has no value. What is left would be
                the rounds that went well.
        """
        rounds: dict[int, dict[str, float]] = {}
        for measured in measurements:
            if measured.side in (self.subject, self.reference):
                rounds.setdefault(measured.round, {})[measured.side] = self.value_of(measured)
        for number, values in rounds.items():
            for side in (self.subject, self.reference):
                if not values.get(side, 0.0) > 0:
                    raise ValueError(f"{self.name}: {side} has no value in round {number + 1}")
        if not rounds:
            neither = f"neither {self.subject} nor {self.reference} was measured"
            raise ValueError(f"{self.name}: {neither}")
        ours = [values[self.subject] for values in rounds.values()]
        theirs = [values[self.reference] for values in rounds.values()]
        pairs = zip(theirs, ours, strict=True) if self.inverse else zip(ours, theirs, strict=True)
        ratios = [one / other for one, other in pairs]
        middle = statistics.median(ratios)
        return Target(
            name=self.name,
            value=statistics.median(ours),
            unit=self.unit,
            reference=self.reference,
            reference_value=statistics.median(theirs),
            ratio=middle,
            target=self.target,
            direction=self.direction,
            met=_meets(middle, self.target, self.direction),
            subject=self.subject,
            spread=spread_of(ratios),
            ratios=tuple(ratios),
        )


def spread_of(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the quartiles of rounds enough for them, of fewer the least and the most."""
    if len(ratios) < ROUNDS_THAT_TELL:
        return min(ratios), max(ratios)
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, high


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


def absolute(
    name: str,
    value: float,
    target: float,
    *,
    unit: str,
    direction: Direction = "at most",
    robust: bool = False,
) -> Target:
    """Hold a value against a number."""
    return Target(
        name=name,
        value=value,
        unit=unit,
        reference="",
        reference_value=None,
        ratio=None,
        target=target,
        direction=direction,
        met=_meets(value, target, direction),
        robust=robust,
    )


def _meets(value: float, target: float, direction: Direction) -> bool:
    return value <= target if direction == "at most" else value >= target


def percentile_of(histogram: str, percent: float) -> Callable[[Measurement], float]:
    """Return what reads one percentile of a measurement, in milliseconds; nan where none is.

    It raises TooFew where there are some, and too few.
    """

    def value(measurement: Measurement) -> float:
        found = measurement.histograms[histogram]
        return found.percentile(percent) if found.count else math.nan

    return value
