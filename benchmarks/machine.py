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
"""p99 of how late the load may send."""
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


@dataclass(slots=True)
class Foreign:
    """Watches how much of the machine others use between `begin` and `share`."""

    began: float = 0.0
    busy: float = 0.0
    own: float = 0.0

    def begin(self) -> None:
        self.began = time.monotonic()
        self.busy = _busy_seconds()
        self.own = _own_seconds()

    def share(self) -> float:
        """Return the processors that others kept busy, on average; 0.25 is a quarter of one."""
        elapsed = time.monotonic() - self.began
        busy = _busy_seconds() - self.busy
        return max(0.0, (busy - (_own_seconds() - self.own)) / elapsed)


async def calm() -> None:
    """Wait until others leave the machine alone for a moment, at most `CALM_SECONDS`."""
    foreign = Foreign()
    for _ in range(round(CALM_SECONDS / CALM_LOOK_SECONDS)):
        foreign.begin()
        await asyncio.sleep(CALM_LOOK_SECONDS)
        if foreign.share() < MAX_FOREIGN_SHARE:
            return


def _own_seconds() -> float:
    """Return what this process and its descendants have used, those that ended included.

    Who ended is in the time of the parent that waited for them, so processes may come and go
    meanwhile: session actors, pages of a browser.
    """
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def _busy_seconds() -> float:
    """Return the machine's busy time: everything but idle and waiting, with what was stolen."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))
