"""What a value is held against: a number, or another side in the same rounds.

Ratios are taken within one round, between neighbours in time; a target's ratio is the median over
the rounds, and its spread the quartiles, of fewer than four rounds the least and the most.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks.measurement import Measurement

ROUNDS_THAT_TELL = 4
"""Of so many rounds that fall to either side by chance, one of eight runs has all on one."""

Direction: TypeAlias = Literal["at most", "at least"]


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
