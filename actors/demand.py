"""How many standbys there should be: pure, so that the simulation asks the same code."""

from __future__ import annotations

from actors.arrivals import Arrivals, StartTime, standbys_for


class Demand:
    """Learns from the standbys that are taken, and from how long starts take."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()
        self._start_time = StartTime()

    @property
    def start_s(self) -> float:
        """How long a start takes, as far as is known."""
        return self._start_time.seconds

    def on_started(self, seconds: float) -> None:
        """Note how long a start took."""
        self._start_time.observe(seconds)

    def target(self, taken: int, now_s: float, *, floor: int, limit: int) -> int:
        """Return how many standbys to keep ready, of how many were `taken` in all by now.

        `floor` when nobody comes; never above the larger of it and `limit`.
        """
        self._arrivals.observe(taken, now_s)
        return standbys_for(
            self._arrivals.per_s, self.start_s, floor=floor, ceiling=max(floor, limit)
        )
