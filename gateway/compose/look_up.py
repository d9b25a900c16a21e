"""Questions to Ray's GCS, which answers none while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LookUp(Generic[T]):
    """One question, asked again and again by one owner: in a thread, and in one at most.

    While the GCS is away a question stands, with its thread, long after whoever asked has given it
    up. The next one waits for the answer to that: a thread for each would soon be all that the
    process has, and whatever else needs one, a host name to be resolved say, would wait as long.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asked: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """Return the answer, for which the caller has a time-out. Raises what the question does."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(None, self._ask)
            self._asked.add_done_callback(_heard)
        return await asyncio.shield(self._asked)


def _heard(asked: asyncio.Future[T]) -> None:
    """Nobody may wait for it any more."""
    if not asked.cancelled():
        asked.exception()
