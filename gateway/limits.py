"""Token buckets: one per connection, and a bounded set of them by network address."""

from __future__ import annotations

from collections import OrderedDict


class TokenBucket:
    """Lets `burst` through at once, `per_s` in the long run. The caller gives time, in seconds."""

    __slots__ = ("_at", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take one token; False when there is none."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def reserve(self, now: float) -> float:
        """Take one token, of the future if need be; return the seconds until it is there."""
        self._refill(now)
        self._tokens -= 1.0
        return 0.0 if self._tokens >= 0.0 else -self._tokens / self._per_s

    def _refill(self, now: float) -> None:
        if self._at is not None:
            grown = self._tokens + (now - self._at) * self._per_s
            self._tokens = grown if grown < self._burst else self._burst
        self._at = now


class AddressLimits:
    """A bucket for each key (an address, or an address and a purpose).

    At most `keys` are remembered; the longest unseen is forgotten first. Someone with more
    addresses than that is not held back here but by the limits per connection and per gateway.
    """

    def __init__(self, per_minute: float, burst: float, *, keys: int = 50_000) -> None:
        self._per_s = per_minute / 60.0
        self._burst = burst
        self._keys = keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """Take one token of this key; False when there is none."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._keys:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = TokenBucket(self._per_s, self._burst)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now)

    def __len__(self) -> int:
        return len(self._buckets)
