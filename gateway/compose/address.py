"""Where the ledger is."""

from __future__ import annotations

import asyncio

import ray
from ray.exceptions import RayError

from broker.errors import ErrorCode, Unavailable
from gateway.compose.options import LEDGER_NAME, LOOK_UP_S, NAMESPACE


class LedgerAddress:
    """Finds the ledger: where it was, then by asking Ray, since a restart may have moved it."""

    def __init__(self) -> None:
        self._known: tuple[str, int] | None = None
        self._trust = False

    async def __call__(self) -> tuple[str, int]:
        """Return host and port. Raises Unavailable when Ray does not answer either."""
        if self._known is not None and self._trust:
            self._trust = False
            return self._known
        try:
            async with asyncio.timeout(LOOK_UP_S):
                ledger = await asyncio.to_thread(ray.get_actor, LEDGER_NAME, NAMESPACE)
                self._known = await ledger.address.remote()
        except (TimeoutError, ValueError, RayError) as error:
            if self._known is None:
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot be found.") from error
        self._trust = True
        assert self._known is not None
        return self._known
