"""Latencies in buckets of constant relative width, as HDR histograms keep them.

A value in whole microseconds falls into one of 128 buckets for each power of two, so that every
percentile is right to half a microsecond below 64 us and to better than one per cent above, up to
hours. Histograms of rounds and processes add up without losing anything. A percentile is told only
of values enough for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_SUB_BITS = 7
_SUB = 1 << _SUB_BITS
USUAL = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
"""The percentiles of summaries and tables, by their names."""


class TooFew(ValueError):
    """There are too few values for a percentile."""


def enough(percent: float) -> int:
    """Return how many values a percentile takes, so that one at least lies beyond it.

    Of fewer it would be the largest of them, or the smallest, by another name. 0 and 100 are those.
    """
    beyond = min(percent, 100.0 - percent)
    return math.ceil(round(100.0 / beyond, 6)) if beyond > 0.0 else 1


def require(count: int, percent: float) -> None:
    """Raise TooFew when so many values bear no such percentile."""
    if count < enough(percent):
        raise TooFew(f"{count} are too few for a p{percent:g}, which takes {enough(percent)}")


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

    def bears(self, percent: float) -> bool:
        """Whether there are enough values for a percentile."""
        return self.count >= enough(percent)

    def percentile(self, percent: float) -> float:
        """Return the latency in milliseconds that this share of all did not exceed.

        Raises:
            TooFew: there are too few for it, or none.
        """
        require(self.count, percent)
        rank = max(1, -(-self.count * percent // 100))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return middle_of(bucket) / 1e3
        raise AssertionError("a rank beyond the count")  # pragma: no cover

    def summary(self) -> dict[str, float]:
        """Return the count, and in milliseconds those of the usual percentiles that it bears."""
        borne = {name: percent for name, percent in USUAL.items() if self.bears(percent)}
        return {
            "count": self.count,
            **{name: round(self.percentile(percent), 4) for name, percent in borne.items()},
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
