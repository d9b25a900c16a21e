"""Latencies in buckets of constant relative width, as HDR histograms keep them.

A value in microseconds falls into one of 128 buckets for each power of two, so that every
percentile is right to better than one per cent from 1 us to hours, and histograms of rounds and
processes add up without losing anything.
"""

from __future__ import annotations

from collections.abc import Iterable

_SUB_BITS = 7
_SUB = 1 << _SUB_BITS


def bucket_of(microseconds: int) -> int:
    """Number the bucket of a value; buckets below 128 us are exact."""
    if microseconds < _SUB:
        return microseconds
    shift = microseconds.bit_length() - _SUB_BITS - 1
    return (shift + 1) * _SUB + (microseconds >> shift) - _SUB


def middle_of(bucket: int) -> float:
    """Return the value in the middle of a bucket, in microseconds."""
    if bucket < _SUB:
        return float(bucket)
    shift, rest = divmod(bucket, _SUB)
    low = (rest + _SUB) << (shift - 1)
    return low + ((1 << (shift - 1)) - 1) / 2


class Histogram:
    """Counts of latencies. Records seconds, answers in milliseconds."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self._counts = dict(counts or {})
        self.count = sum(self._counts.values())

    def record(self, seconds: float) -> None:
        """Count one latency.

        Raises:
            ValueError: it is below zero, so that two clocks or two moments were mixed up.
        """
        if seconds < 0:
            raise ValueError(f"A latency of {seconds} s.")
        bucket = bucket_of(round(seconds * 1e6))
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1

    def add(self, other: Histogram) -> None:
        """Count everything that another histogram counted."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += other.count

    def percentile(self, percent: float) -> float:
        """Return the latency in milliseconds that this share of all did not exceed.

        Raises:
            ValueError: nothing was recorded.
        """
        if self.count == 0:
            raise ValueError("The histogram is empty.")
        rank = max(1, -(-self.count * percent // 100))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return middle_of(bucket) / 1e3
        raise AssertionError("a rank beyond the count")  # pragma: no cover

    def summary(self) -> dict[str, float]:
        """Return count, the usual percentiles and the maximum, in milliseconds."""
        if self.count == 0:
            return {"count": 0}
        named = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
        return {
            "count": self.count,
            **{name: round(self.percentile(p), 4) for name, p in named.items()},
        }

    def curve(self) -> Iterable[tuple[float, float]]:
        """Yield latency in milliseconds and the share at or below it, bucket by bucket."""
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            yield middle_of(bucket) / 1e3, seen / self.count

    def to_json(self) -> dict[str, int]:
        """Return the raw counts by bucket number."""
        return {str(bucket): self._counts[bucket] for bucket in sorted(self._counts)}

    @classmethod
    def from_json(cls, counts: dict[str, int]) -> Histogram:
        """Read what `to_json` wrote."""
        return cls({int(bucket): count for bucket, count in counts.items()})
