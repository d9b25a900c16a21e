"""Open-loop arrivals: what is sent when does not depend on how fast it is answered.

Latency counts from the intended time of sending, so a stall of the server is charged for every
message that should have been sent meanwhile (no coordinated omission), and a stall of the load
shows as `lateness`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from benchmarks.histogram import Histogram
from benchmarks.timer import Timer

Arrived: TypeAlias = tuple[float, float | None]
"""When something was due, on the machine's clock, and the seconds it waited; `None`: refused."""
Trace: TypeAlias = Sequence[Arrived]
REFUSED = "refused"
"""Begins the name under which a load counts refusals, each kind by itself."""


class Arrivals:
    """Sends at random, independent moments with a given mean rate (Poisson), or evenly."""

    def __init__(self, rate: float, seconds: float, seed: int, *, even: bool = False) -> None:
        self._rate = rate
        self._seconds = seconds
        self._random = random.Random(seed)
        self._even = even
        self.lateness = Histogram()
        """How much later than intended each message was sent."""

    async def run(self, send: Callable[[int, float], None]) -> int:
        """Call `send(number, intended)` at each arrival; return how many there were."""
        finished = asyncio.Event()
        start = time.monotonic() + 0.01
        number = 0
        intended = start + self._pause() * (0.5 if self._even else 1.0)

        def on_time() -> None:
            nonlocal number, intended
            now = time.monotonic()
            while intended <= now:
                if intended - start >= self._seconds:
                    finished.set()
                    return
                self.lateness.record(now - intended)
                send(number, intended)
                number += 1
                intended += self._pause()
            timer.set(intended)

        timer = Timer(on_time)
        try:
            timer.set(intended)
            await finished.wait()
        finally:
            timer.close()
        return number

    def _pause(self) -> float:
        return 1 / self._rate if self._even else self._random.expovariate(self._rate)
