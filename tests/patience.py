"""How long tests wait: limits are stretched by one factor, for machines under load."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

SCHEDULED = Path("/proc/self/schedstat")
PATIENCE = float(os.environ.get("SWITCHBOARD_TEST_PATIENCE", "1"))
LATE_S = 0.1
"""Who looks a hundred times a second and is so late was held up."""


async def until(
    condition: Callable[[], object],
    what: str = "what is written there",
    within: float = 10.0 * PATIENCE,
    *,
    every: float = 0.002,
) -> None:
    """Wait for a condition, looking at it each time the loop has turned, and say what did not come.

    `within` and `every`: seconds of the loop's clock, taken as they are.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        assert loop.time() <= deadline, f"In vain: {what}."
        await asyncio.sleep(every)


def seconds_waited() -> float:
    """How long this process's first thread, which has the loop, has waited for a processor so far.

    0 where the kernel does not say.
    """
    return int(SCHEDULED.read_text().split()[1]) / 1e9 if SCHEDULED.exists() else 0.0


class Standstill:
    """For how long this process stood still: stopped, paused with its machine, or not scheduled.

    Whoever judges others by when something comes of them looks from more than one place, often, and
    before it takes note of what has come: so long as nobody looked, nobody can have seen it come.
    """

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._looked = time.monotonic()
        self._seconds = 0.0

    def look(self) -> float:
        """Return the seconds in all, of stretches longer than `LATE_S`; any thread may look."""
        with self._looking:
            late = time.monotonic() - self._looked
            self._looked += late
            if late > LATE_S:
                self._seconds += late
            return self._seconds
