"""How much of something one peer may cause: so many a second, or so many bytes."""

from __future__ import annotations


class Budget:
    """A token bucket: `rate` a second, `burst` at once, of bytes or whatever is counted.

    They come back one by one and not each second anew, so that what is let in of a flood comes
    evenly: all of a second's at once would hold everybody up for as long as they take together.
    """

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = 0.0

    def has(self, count: int, now: float) -> bool:
        """Whether so many are there to be spent."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return self._tokens >= count

    def spend(self, count: int) -> None:
        """Spend so many, which are there."""
        self._tokens -= count

    def take(self, count: int, now: float) -> bool:
        """Spend so many if they are there."""
        if not self.has(count, now):
            return False
        self._tokens -= count
        return True
