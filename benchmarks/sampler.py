"""What server processes cost, as the operating system counts it.

Processor time comes from the process's own clock in nanoseconds where there is one (the usual
counters step by 10 ms): what its threads have used, those that have ended included. Memory is the
proportional set size: shared pages are divided among those that share them, so the sum over
processes is what they really take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SESSION_ACTOR = "SessionHost"
"""What Ray's title of a session actor's process contains."""
SCHEDULED = 2
"""Which of a process's clocks: time on a processor. Source: clock_getcpuclockid(3) of Linux."""


def processor_seconds(process: psutil.Process) -> float:
    """Return the processor time a process has used: all its threads, also those that have ended."""
    try:
        return time.clock_gettime(~process.pid << 3 | SCHEDULED)
    except OSError:
        times = process.cpu_times()
        return float(times.user + times.system)


def proportional_bytes(process: psutil.Process) -> int:
    """Return a process's proportional set size; its resident size where PSS is not known."""
    info = process.memory_full_info()
    return int(getattr(info, "pss", info.rss))


@dataclass(slots=True)
class Usage:
    """What one process used between two moments."""

    pid: int
    name: str
    processor_seconds: float
    memory_bytes: int
    descriptors: int | None = None
    """Counted by a census, not in a round; the threads likewise."""
    threads: int | None = None

    @property
    def is_session_actor(self) -> bool:
        return SESSION_ACTOR in self.name


@dataclass(slots=True)
class Sampler:
    """Reads the counters of processes at the start and at the end of a round.

    Of those that began meanwhile all counts, of those that ended nothing is left to be read.
    """

    look: Callable[[], Iterable[psutil.Process]]
    """Lists the processes that there are."""
    _began: float = 0.0
    _before: dict[int, float] | None = None

    @classmethod
    def of(cls, processes: Iterable[psutil.Process]) -> Sampler:
        """Sample these, whoever else may begin."""
        these = list(processes)
        return cls(lambda: these)

    def begin(self) -> None:
        """Read the counters at the start."""
        self._began, self._before = time.monotonic(), {}
        for process in self.look():
            with suppress(psutil.NoSuchProcess):
                self._before[process.pid] = processor_seconds(process)

    def end(self) -> tuple[float, list[Usage]]:
        """Return the seconds since `begin` and what each process used in them."""
        seconds = time.monotonic() - self._began
        used: list[Usage] = []
        if self._before is None:
            return seconds, used
        # All counters before any memory: that takes milliseconds for each process, and the next one
        # goes on meanwhile.
        spent: list[tuple[psutil.Process, float]] = []
        for process in self.look():
            with suppress(psutil.NoSuchProcess):
                before = self._before.get(process.pid, 0.0)
                spent.append((process, processor_seconds(process) - before))
        for process, busy in spent:
            with suppress(psutil.NoSuchProcess), process.oneshot():
                used.append(Usage(process.pid, title(process), busy, proportional(process)))
        return seconds, used


def proportional(process: psutil.Process) -> int:
    try:
        return proportional_bytes(process)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def title(process: psutil.Process) -> str:
    """Name a process for people."""
    words = process.cmdline()
    return named(words) if words else process.name()


def named(words: Sequence[str]) -> str:
    """Name a command line: its module or program, without paths and options."""
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    if words[0].startswith("ray::"):
        return words[0]
    said = [Path(word).name for word in words[:3] if not word.startswith("-")]
    return " ".join(said[:2])
