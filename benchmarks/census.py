"""What every server process holds at one moment: memory, descriptors, threads, processor time.

Unlike a round's sampler it does not follow processes from a beginning to an end: session actors
come and go, so whoever is there is counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil

from benchmarks.sampler import Usage, processor_seconds, proportional, title

FEWEST = 4
"""Values in a third, below which a median of it says nothing about growth."""

Value = TypeVar("Value")


class Census:
    """Counts the processes it is told of, again and again."""

    def __init__(self, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        self._processes = processes
        self._before: dict[psutil.Process, float] = {}

    def take(self) -> list[Usage]:
        """Say what each process holds, and what processor time it used since it was last counted.

        Reading a process's proportional set size takes some milliseconds; not for an event loop.
        """
        found: list[Usage] = []
        seen: dict[psutil.Process, float] = {}
        for process in self._processes():
            with suppress(psutil.Error, OSError), process.oneshot():
                seen[process] = processor_seconds(process)
                found.append(
                    Usage(
                        pid=process.pid,
                        name=title(process),
                        processor_seconds=seen[process] - self._before.get(process, 0.0),
                        memory_bytes=proportional(process),
                        descriptors=process.num_fds(),
                        threads=process.num_threads(),
                    )
                )
        self._before = seen
        return found


@dataclass(frozen=True, slots=True)
class Growth:
    """The median of the first third of some values, and that of the last."""

    first: float
    last: float

    def beyond(self, margin: float) -> float:
        """Return the last over the first, where growth by up to `margin` is none."""
        return max(self.last - margin, min(self.first, self.last)) / self.first

    @classmethod
    def of(cls, values: Sequence[float]) -> Growth:
        """Compare the thirds of a run.

        Raises:
            ValueError: there are too few values to tell.
        """
        first, last = thirds(values)
        if len(first) < FEWEST:
            raise ValueError(f"{len(values)} values are too few to see growth in.")
        return cls(statistics.median(first), statistics.median(last))


def thirds(values: Sequence[Value]) -> tuple[Sequence[Value], Sequence[Value]]:
    """Return the first third and the last; what cannot be divided is left in the middle."""
    length = len(values) // 3
    return values[:length], values[len(values) - length :]


def lasting(censuses: Sequence[Sequence[Usage]]) -> dict[int, list[Usage]]:
    """Return by pid what each process held that was there in every census."""
    found: dict[int, list[Usage]] = {}
    for census in censuses:
        for usage in census:
            found.setdefault(usage.pid, []).append(usage)
    return {pid: held for pid, held in found.items() if len(held) == len(censuses)}
