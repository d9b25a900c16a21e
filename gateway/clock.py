"""Wall time that does not step: read once, and counted on by the monotonic clock.

Deadlines of sessions and the lives of tokens hang on it: a machine's clock that is set while calls
go on ends none of them. A process that started with a wrong clock keeps it until it is restarted
(`docs/operations.md`).
"""

from __future__ import annotations

import time
from collections.abc import Callable


def steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds."""
    start_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000
    return lambda: start_ms + time.monotonic_ns() // 1_000_000


def steady_seconds() -> Callable[[], float]:
    """Return a clock of Unix seconds."""
    now_ms = steady_clock()
    return lambda: now_ms() / 1000
