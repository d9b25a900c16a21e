"""How many standbys the present arrivals need, by how often they come and how long starts take."""

from __future__ import annotations

import math


class Arrivals:
    """The rate at which standbys are taken, forgotten exponentially.

    Feed it the running total of sessions opened and takeovers, with the time.
    """

    def __init__(self, memory_s: float = 60.0) -> None:
        self._memory_s = memory_s
        self._total: int | None = None
        self._at_s = 0.0
        self.per_s = 0.0
        """Standbys taken per second, lately."""

    def observe(self, total: int, at_s: float) -> None:
        """Note the total so far. A total that shrank begins anew: the ledger was replaced."""
        if self._total is None or total < self._total:
            self._total, self._at_s = total, at_s
            return
        passed_s = at_s - self._at_s
        if passed_s <= 0:
            return
        kept = math.exp(-passed_s / self._memory_s)
        self.per_s = self.per_s * kept + (total - self._total) / self._memory_s * (
            (1 - kept) * self._memory_s / passed_s
        )
        self._total, self._at_s = total, at_s


class StartTime:
    """How long a start takes, as far as is known: each one changes that by an eighth."""

    FIRST_S = 1.5
    """Believed before any was seen."""

    def __init__(self, seconds: float = FIRST_S) -> None:
        self.seconds = seconds

    def observe(self, seconds: float) -> None:
        """Note how long one took."""
        self.seconds += (seconds - self.seconds) / 8


def standbys_for(per_s: float, start_s: float, *, floor: int, ceiling: int) -> int:
    """Return how many standbys bridge the time a start takes, with two standard deviations.

    Poisson arrivals in `start_s` have mean and variance `per_s * start_s`. Never below `floor`
    and, whatever comes, never above `ceiling`.
    """
    mean = max(0.0, per_s * start_s)
    return max(min(ceiling, math.ceil(mean + 2 * math.sqrt(mean))), min(floor, ceiling))
