"""Where a ledger is."""

from __future__ import annotations

import asyncio

import ray
from ray.exceptions import RayError

from broker.errors import ErrorCode, Unavailable
from gateway.compose.look_up import LookUp
from gateway.compose.options import LOOK_UP_S, NAMESPACE, ledger_name


class LedgerAddress:
    """Finds a shard's ledger: where it was, then by Ray, since a restart may have moved it."""

    def __init__(self, shard: int = 0) -> None:
        name = ledger_name(shard)
        self._actor = LookUp(lambda: ray.get_actor(name, NAMESPACE))
        self._known: tuple[str, int] | None = None
        self._trust = False

    async def __call__(self) -> tuple[str, int]:
        """Return host and port. Raises Unavailable when Ray does not answer either."""
        if self._known is not None and self._trust:
            self._trust = False
            return self._known
        try:
            async with asyncio.timeout(LOOK_UP_S):
                ledger = await self._actor()
                # While Ray starts it anew the question waits for it; otherwise it would fail at
                # once, and whoever asks again later would hear of the ledger later.
                self._known = await ledger.address.options(max_task_retries=-1).remote()
        except (TimeoutError, ValueError, RayError) as error:
            if self._known is None:
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot be found.") from error
            # Not to be trusted: Ray is asked again before it is tried once more.
            return self._known
        self._trust = True
        return self._known
