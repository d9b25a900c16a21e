"""The pool in a Ray actor, and how it starts a standby."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import ray

from broker.keys import KeyPurpose
from broker.messages.cluster import LinkHello
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_name
from gateway.compose.options import ACTOR_START_S, SESSION_OPTIONS, SESSION_PREFIX
from gateway.compose.session_host import SessionHost
from gateway.compose.settings import ClusterSettings

if TYPE_CHECKING:
    from actors.pool import Pool


class PoolHost:
    """The pool in a Ray actor. It starts by itself, also when Ray has restarted it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def start(self) -> None:
        """Wait until it keeps standbys."""
        await self._starting

    async def stop(self) -> None:
        """Start no more standbys."""
        await self._starting
        if self._pool is not None:
            await self._pool.close()

    async def _start(self) -> None:
        from actors.pool import Pool, PoolPolicy

        self._pool = Pool(
            self._start_standby,
            LedgerAddress(),
            self._settings.key(KeyPurpose.TRUNK),
            LinkHello(kind="pool", member_id=secrets.token_urlsafe(12), node=node_name()),
            policy=PoolPolicy(target=self._settings.standbys),
        )
        await self._pool.start()

    async def _start_standby(self) -> None:
        options = {**SESSION_OPTIONS, "name": SESSION_PREFIX + secrets.token_hex(8)}
        host: Any = ray.remote(SessionHost).options(**options).remote(self._settings)
        try:
            async with asyncio.timeout(ACTOR_START_S):
                await host.start.remote()
        except BaseException:
            ray.kill(host)
            raise
        # Runs until the session is over; the actor then exits, whether or not this pool lives.
        host.live.remote()
