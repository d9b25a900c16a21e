"""The pool in a Ray actor, and how it starts a standby."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from broker.keys import KeyPurpose
from broker.messages.cluster.members import LinkHello
from gateway import logs
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_name
from gateway.compose.options import ACTOR_START_S, LOOK_UP_S, SESSION_OPTIONS, SESSION_PREFIX
from gateway.compose.ray_runtime import RayNode, list_nodes
from gateway.compose.session_host import SessionHost
from gateway.compose.settings import ClusterSettings
from gateway.trunk_tls import trunk_tls

if TYPE_CHECKING:
    from actors.placement import Place
    from actors.pool import Pool

_LOG = logging.getLogger(__name__)
PLACES_S = 2.0
"""Time between two looks at Ray's nodes."""


class PoolHost:
    """The pool in a Ray actor. It starts by itself, also when Ray has restarted it."""

    def __init__(self, settings: ClusterSettings) -> None:
        logs.configure()
        self._settings = settings
        self._pool: Pool | None = None
        self._nodes: list[RayNode] = []
        self._watching: asyncio.Task[None] | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def start(self) -> None:
        """Wait until it keeps standbys."""
        await self._starting

    async def stop(self) -> None:
        """Start no more standbys."""
        await self._starting
        if self._watching is not None:
            self._watching.cancel()
        if self._pool is not None:
            await self._pool.close()

    async def _start(self) -> None:
        from actors.pool import Pool, PoolPolicy

        self._pool = Pool(
            self._start_standby,
            LedgerAddress(),
            self._settings.key(KeyPurpose.TRUNK),
            LinkHello(kind="pool", member_id=secrets.token_urlsafe(12), node=node_name()),
            policy=PoolPolicy(
                target=self._settings.standbys, vacate_below=self._settings.vacate_below
            ),
            places=self._places,
            tls=trunk_tls(self._settings.key(KeyPurpose.TRUNK)),
        )
        self._nodes = [each for each in list_nodes() if each.media_slots > 0]
        await self._pool.start()
        self._watching = asyncio.create_task(self._watch_places(self._pool))

    async def _watch_places(self, pool: Pool) -> None:
        """Look at Ray's nodes now and then; while its GCS is away the last look holds."""
        while True:
            try:
                async with asyncio.timeout(LOOK_UP_S):
                    nodes = await asyncio.to_thread(list_nodes)
            except (TimeoutError, RayError, RuntimeError) as error:
                _LOG.info("nodes not seen", extra={"error": repr(error)})
            else:
                self._nodes = [each for each in nodes if each.media_slots > 0]
            pool.refill()
            await asyncio.sleep(PLACES_S)

    def _places(self) -> list[Place]:
        from actors.placement import Place

        return [Place(each.name, each.label, each.media_slots) for each in self._nodes]

    async def _start_standby(self, node: str | None) -> None:
        options: dict[str, Any] = {
            **SESSION_OPTIONS,
            "name": SESSION_PREFIX + secrets.token_hex(8),
        }
        where = next((each for each in self._nodes if each.name == node), None)
        if where is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
                where.node_id, soft=False
            )
        host: Any = ray.remote(SessionHost).options(**options).remote(self._settings)
        try:
            async with asyncio.timeout(ACTOR_START_S):
                await host.start.remote()
        except BaseException:
            ray.kill(host)
            raise
        # Runs until the session is over; the actor then exits, whether or not this pool lives.
        host.live.remote()
