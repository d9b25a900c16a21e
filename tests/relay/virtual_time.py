"""A loop whose clock jumps: a minute of a call in seconds, the same on every machine.

Datagrams over loopback are in the receiver's queue when the send returns, so a loop that finds
nothing to read has nothing to wait for but its next timer. It sets its clock there at once.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Events: TypeAlias = list[tuple[selectors.SelectorKey, int]]

_STEP = 0.002
"""The most the clock moves without looking at the sockets twice, in seconds."""
_WITHOUT_TIMERS = 5.0
"""Real seconds that a loop without a timer waits for a datagram."""


class _Jumping(selectors.BaseSelector):
    """Looks without waiting; where there is nothing to see, time passes."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Events:
        ready = self._real.select(0)
        if ready:
            return ready
        if timeout is None:
            return self._real.select(_WITHOUT_TIMERS)
        self.now += min(max(0.0, timeout), _STEP)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own; give `time` to whatever else needs one."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def stand_still(self, seconds: float) -> None:
        """Let time pass in which nothing runs, as on a machine that is busy with something else."""
        self._jumping.now += seconds


def run_in_virtual_time(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario to its end on a fresh loop."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario)
