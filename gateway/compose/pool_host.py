"""The pool in a Ray actor, and how it starts a standby."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from broker.keys import KeyPurpose
from broker.messages.cluster.members import LinkHello
from gateway.commands import logs
from gateway.compose.actor_class import actor_class
from gateway.compose.address import LedgerAddress
from gateway.compose.look_up import LookUp
from gateway.compose.node import node_name
from gateway.compose.options import (
    ACTOR_START_S,
    LOOK_UP_S,
    NAMESPACE,
    SESSION_OPTIONS,
    SESSION_PREFIX,
)
from gateway.compose.ray_runtime import RayNode, find_actors, list_nodes
from gateway.compose.session_host import SessionHost
from gateway.compose.settings import ClusterSettings
from gateway.links.trunk_tls import trunk_tls

if TYPE_CHECKING:
    from actors.placement import Place
    from actors.pool import Pool, PoolPolicy

_LOG = logging.getLogger(__name__)
PLACES_S = 2.0
"""Time between two looks at Ray's nodes."""
STRAYS_S = 5.0
"""Time between two looks at its actors, of which there may be thousands."""
WAITING_STARTS = 8
"""Threads in which starts wait for Ray's GCS; more starts than that wait for a thread."""


class PoolHost:
    """The pool in a Ray actor. It starts by itself, also when Ray has restarted it.

    One that cannot start goes on trying: Ray, to which its process is alive, would start no other.
    Where there are several ledgers, each has its own standbys: as many pools share the nodes.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        from actors.strays import Strays

        logs.configure()
        self._settings = settings
        self._pools: list[Pool] = []
        self._nodes: list[RayNode] = []
        self._look_up = LookUp(list_nodes)
        self._strays = Strays()
        self._strays_due = 0.0
        # Not those of the looks at Ray: while its GCS is away each start may hold one for a minute.
        self._starters = ThreadPoolExecutor(WAITING_STARTS, thread_name_prefix="standby")
        loop = asyncio.get_running_loop()
        self._starting = loop.create_task(self._start())
        self._watching = loop.create_task(self._watch_places())

    async def start(self) -> None:
        """Wait until it keeps standbys. Raises what kept it from that the first time."""
        await self._starting

    async def stop(self) -> None:
        """Start no more standbys."""
        await asyncio.wait((self._starting,))
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        for pool in self._pools:
            await pool.close()
        self._starters.shutdown(wait=False, cancel_futures=True)

    async def _start(self) -> None:
        self._nodes = await self._media_nodes(ACTOR_START_S)
        pools = [self._pool_of(shard) for shard in range(self._settings.ledger_shards)]
        self._pools = pools
        for pool in pools:
            await pool.start()

    def _pool_of(self, shard: int) -> Pool:
        from actors.pool import Pool

        settings = self._settings
        return Pool(
            partial(self._start_standby, shard),
            LedgerAddress(shard),
            settings.key(KeyPurpose.TRUNK),
            LinkHello(
                kind="pool",
                member_id=secrets.token_urlsafe(12),
                node=node_name(),
                shards=settings.ledger_shards,
            ),
            policy=policy_of(settings),
            places=lambda: places_left(self._nodes, self._others(shard)),
            elsewhere=lambda: sum(pool.members for pool in self._others(shard)),
            tls=trunk_tls(settings.key(KeyPurpose.TRUNK)),
        )

    async def _watch_places(self) -> None:
        """Look at Ray's nodes now and then; while its GCS is away the last look holds."""
        await asyncio.wait((self._starting,))
        if (failed := self._starting.exception()) is not None:
            _LOG.warning("the pool did not start", extra={"error": repr(failed)})
        while True:
            try:
                await (self._look() if self._pools else self._start())
            except Exception as error:
                # Whatever Ray raises, the pool goes on: it is what refills a cluster that comes
                # back.
                seen = "nodes or strays not seen" if self._pools else "the pool did not start"
                _LOG.warning(seen, extra={"error": repr(error)})
            for pool in self._pools:
                pool.refill()
            await asyncio.sleep(PLACES_S)

    async def _look(self) -> None:
        self._nodes = await self._media_nodes(LOOK_UP_S)
        await self._end_strays()

    async def _media_nodes(self, within_s: float) -> list[RayNode]:
        async with asyncio.timeout(within_s):
            nodes = await self._look_up()
        return [each for each in nodes if each.media_slots > 0]

    async def _end_strays(self) -> None:
        """End the processes that no ledger knows: their places are not free before."""
        now = asyncio.get_running_loop().time()
        if now < self._strays_due:
            return
        self._strays_due = now + STRAYS_S
        async with asyncio.timeout(LOOK_UP_S):
            named = await asyncio.to_thread(find_actors)
            there = [each for each in named if each.startswith(SESSION_PREFIX)]
            levels = [pool.level for pool in self._pools]
            since = {name for pool in self._pools for name in pool.take_linked()}
            for name in self._strays.look(there, levels, now, linked_since=since):
                _LOG.warning("no ledger knows it: ended", extra={"actor": name})
                stray = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
                await asyncio.to_thread(ray.kill, stray)

    def _unmake(self, making: Future[Any]) -> None:
        """End a standby that is not waited for any more, once it is there; this waits, too."""
        if not making.cancelled() and making.exception() is None:
            with suppress(RuntimeError):
                # A pool that has stopped leaves it to the next one, which knows no ledger of it.
                self._starters.submit(ray.kill, making.result())

    def _places(self) -> None:
        """Nothing: what Ray stored of the release before names it, and looks at its signature."""

    def _others(self, shard: int) -> list[Pool]:
        return [*self._pools[:shard], *self._pools[shard + 1 :]]

    async def _start_standby(self, shard: int, node: str | None) -> None:
        options: dict[str, Any] = {
            **SESSION_OPTIONS,
            "name": SESSION_PREFIX + secrets.token_hex(8),
        }
        where = next((each for each in self._nodes if each.name == node), None)
        if where is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
                where.node_id, soft=False
            )
        settings = replace(self._settings, shard=shard)
        # Ray writes a named actor into its GCS before it returns: while that is away, the call
        # stands, and may come to something when nobody waits for it any more.
        making: Future[Any] = self._starters.submit(_make, options, settings)
        try:
            async with asyncio.timeout(ACTOR_START_S):
                host = await asyncio.wrap_future(making)
                await host.start.remote()
        except BaseException:
            making.add_done_callback(self._unmake)
            raise
        # Runs until the session is over; the actor then exits, whether or not this pool lives.
        host.live.remote()


def _make(options: dict[str, Any], settings: ClusterSettings) -> Any:
    return actor_class(SessionHost).options(**options).remote(settings)


def policy_of(settings: ClusterSettings) -> PoolPolicy:
    """What each ledger's pool is told: standbys and reserve are divided, rounded up.

    Where no standby is wanted none is kept, whoever comes.
    """
    from actors.pool import PoolPolicy

    shards = settings.ledger_shards
    policy = PoolPolicy(
        target=math.ceil(settings.standbys / shards),
        reserve_limit=math.ceil(settings.reserve / shards),
        vacate_below=settings.vacate_below,
    )
    return policy if settings.standbys else replace(policy, target_limit=0, reserve_limit=0)


def places_left(nodes: Sequence[RayNode], others: Sequence[Pool]) -> list[Place]:
    """Name the nodes, each with the slots that the pools of other shards leave."""
    from actors.placement import Place

    return [
        Place(
            each.name, each.label, each.media_slots - sum(pool.used(each.name) for pool in others)
        )
        for each in nodes
    ]
