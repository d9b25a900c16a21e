"""How much of something one peer may cause: so many a second, or so many bytes."""

from __future__ import annotations


class Allowance:
    """At most so many expensive things a second; the rest is not even looked at."""

    __slots__ = ("_left", "_per_second", "_since")

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = per_second
        self._since = 0.0

    def has_any(self, now: float) -> bool:
        if now - self._since >= 1.0:
            self._since = now
            self._left = self._per_second
        return self._left > 0

    def spend(self) -> None:
        self._left -= 1


class Budget:
    """A token bucket: `rate` a second, `burst` at once, of bytes or whatever is counted."""

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

    def take(self, count: int, now: float) -> bool:
        """Spend so many if they are there."""
        if not self.has(count, now):
            return False
        self._tokens -= count
        return True
