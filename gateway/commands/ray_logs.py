"""Ray's logs on this node: counted for all to see, those of ended workers kept within a bound.

Ray rotates each log and removes none: a worker that ends leaves some 20 KB for good.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Gauge

from gateway.tasks import repeat

PERIOD_S = 60.0
KEPT_BYTES = 256 * 1024 * 1024
"""Of workers that have ended."""
_WORKER = re.compile(r"(?:python-core-)?worker-[0-9a-f-]+[-_](\d+)\.")


@dataclass(frozen=True, slots=True)
class Log:
    """One file, as it was when it was looked at."""

    path: Path
    size: int
    written_s: float
    """Since 1970."""

    @property
    def worker(self) -> int | None:
        """The process id of the worker that writes it; `None`: another part's."""
        found = _WORKER.match(self.path.name)
        return None if found is None else int(found[1])


def logs(folder: Path) -> Iterator[Log]:
    """Every file below a folder that may be looked at; files and folders may go meanwhile."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):
                state = path.lstat()
                yield Log(path, state.st_size, state.st_mtime)


def tidy(
    folder: Path, kept_bytes: int = KEPT_BYTES, lives: Callable[[int], bool] = psutil.pid_exists
) -> None:
    """Remove logs of workers that have ended, the oldest first, until so much is left of them."""
    ended = [each for each in logs(folder) if each.worker is not None and not lives(each.worker)]
    total = sum(each.size for each in ended)
    for each in sorted(ended, key=lambda one: one.written_s):
        if total <= kept_bytes:
            return
        each.path.unlink(missing_ok=True)
        total -= each.size


class RayLogs:
    """Weighs a folder of logs now and then; tidies it first where all its workers can be seen.

    Its owner runs `run` as a task.
    """

    def __init__(self, folder: Path, registry: CollectorRegistry, *, tidies: bool) -> None:
        self._folder = folder
        self._tidies = tidies
        self._bytes = Gauge(
            "switchboard_ray_log_bytes",
            "Bytes of Ray's logs on the gateway's node.",
            registry=registry,
        )

    async def run(self) -> None:
        """Look until cancelled; what cannot be removed is looked at again."""
        await repeat(partial(asyncio.to_thread, self.look), PERIOD_S)

    def look(self) -> None:
        """Look once."""
        if self._tidies:
            tidy(self._folder)
        self._bytes.set(sum(each.size for each in logs(self._folder)))
