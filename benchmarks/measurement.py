"""What was measured of one side in one round."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.arrivals import REFUSED, Trace
from benchmarks.histogram import Histogram
from benchmarks.sampler import Usage


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


def percentile_of(histogram: str, percent: float) -> Callable[[Measurement], float]:
    """Return what reads one percentile of a measurement, in milliseconds; nan where none is.

    It raises TooFew where there are some, and too few.
    """

    def value(measurement: Measurement) -> float:
        found = measurement.histograms[histogram]
        return found.percentile(percent) if found.count else math.nan

    return value
