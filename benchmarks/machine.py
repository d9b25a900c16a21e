"""The machine a run was made on, and whether it was quiet enough to tell anything.

Three signs of noise are looked for: processor time that others took during a round, messages that
the load itself sent late, and rounds that disagree about a ratio.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PACKAGES = ("ray", "fastapi", "uvicorn", "uvloop", "websockets", "aiortc", "pydantic", "orjson")
MAX_FOREIGN_SHARE = 0.25
"""Of one processor, taken by processes that are no part of the run."""
CALM_SECONDS = 10.0
CALM_LOOK_SECONDS = 0.3
MAX_LATENESS_MS = 2.0
"""p99 of how late the load may send; of fewer than a p99 takes, the most."""
MAX_SPREAD = 0.35
"""Of the quartiles of a ratio over the rounds, relative to its median."""


def description() -> dict[str, object]:
    """Say what was measured on what: versions, commit, machine."""
    memory = psutil.virtual_memory()
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "processors": psutil.cpu_count(),
        "memory_gb": round(memory.total / 2**30, 1),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    """Return the commit, marked when files differ from it."""
    root = Path(__file__).resolve().parent.parent
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


Who = tuple[int, float]
"""A process's number, and when it began: a number is used again."""


@dataclass(frozen=True, slots=True)
class Used:
    """Processor seconds of one process since it began."""

    itself: float
    with_waited_for: float
    """With its descendants that ended and were waited for."""


class Foreign:
    """Watches how much of the machine others use between `begin` and `share`.

    Others' processes are counted, not ours subtracted from the whole: what one of ours has used is
    gone from the books when it dies and nobody waits for it, as Ray's raylet does not. Time that
    the host gave to somebody else counts too.
    """

    def __init__(
        self,
        others: Callable[[], Mapping[Who, Used]] | None = None,
        stolen: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._others = others or others_used
        self._stolen = stolen or _stolen_seconds
        self._clock = clock
        self._began = 0.0
        self._stolen_before = 0.0
        self._before: Mapping[Who, Used] = {}

    def begin(self) -> None:
        self._began = self._clock()
        self._stolen_before = self._stolen()
        self._before = self._others()

    def share(self) -> float:
        """Return the processors that others kept busy, on average; 0.25 is a quarter of one.

        Their processes end as well. The time of one that was waited for is all in its parent's
        then, also what it had used before; that of one that was not is lost. So there are two
        sums, each with what the other lacks and neither with anything twice; the larger counts.
        """
        elapsed = self._clock() - self._began
        now = self._others()
        living = sum(
            used.itself - self._before[who].itself if who in self._before else used.itself
            for who, used in now.items()
        )
        with_waited_for = sum(used.with_waited_for for used in now.values()) - sum(
            used.with_waited_for for used in self._before.values()
        )
        taken = max(living, with_waited_for) + self._stolen() - self._stolen_before
        return max(0.0, taken / elapsed)


async def calm() -> None:
    """Wait until others leave the machine alone for a moment, at most `CALM_SECONDS`."""
    foreign = Foreign()
    for _ in range(round(CALM_SECONDS / CALM_LOOK_SECONDS)):
        foreign.begin()
        await asyncio.sleep(CALM_LOOK_SECONDS)
        if foreign.share() < MAX_FOREIGN_SHARE:
            return


def others_used() -> dict[Who, Used]:
    """Return what each process outside this one's family has used."""
    me = psutil.Process()
    family = {me.pid, *(child.pid for child in me.children(recursive=True))}
    found: dict[Who, Used] = {}
    for process in psutil.process_iter():
        if process.pid not in family:
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid, process.create_time()] = Used(sum(times[:2]), sum(times[:4]))
    return found


def _stolen_seconds() -> float:
    """Return the time in which the host ran somebody else though we had work."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))
