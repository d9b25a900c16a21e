"""The ledger in a Ray actor."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from broker.errors import ErrorCode, Unavailable
from broker.keys import KeyPurpose
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeState, NodeUndrain, PoolLevel
from broker.shards import Shard
from gateway.clock import steady_clock
from gateway.commands import logs
from gateway.compose.settings import ClusterSettings
from gateway.links.trunk_tls import trunk_tls
from gateway.tracing import OpenTelemetry, traces_of

if TYPE_CHECKING:
    from actors.ledger import Ledger

_LOG = logging.getLogger(__name__)


class LedgerHost:
    """The ledger in a Ray actor. It starts by itself, also when Ray has restarted it."""

    def __init__(self, settings: ClusterSettings, owner: str = "") -> None:
        """`owner` names the start of the deployment that made this actor, and outlives restarts."""
        logs.configure()
        self._settings = settings
        self._owner = owner
        self._ledger: Ledger | None = None
        self._address: tuple[str, int] | None = None
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._traces: OpenTelemetry | None = None
        self._first = asyncio.get_running_loop().create_task(self._begin())

    async def _begin(self) -> None:
        """Start before anybody asks where it is: who waits for a restarted one asks late."""
        try:
            await self.address()
        except Exception as error:
            # Whoever asks has it try again, and hears why it fails.
            _LOG.warning("the ledger did not start", extra={"why": repr(error)})

    async def address(self) -> tuple[str, int]:
        """Start it if this process is new, and say where it listens."""
        async with self._starting:
            if self._address is None:
                from actors.ledger import Ledger, LedgerPolicy

                settings = self._settings
                if self._traces is None:
                    # Once, however often it is tried: each has a thread of its own.
                    self._traces = traces_of("ledger")
                self._ledger = Ledger(
                    settings.database_url,
                    settings.key(KeyPurpose.TRUNK),
                    now_ms=steady_clock(),
                    shard=Shard(settings.shard, settings.ledger_shards),
                    owner=self._owner,
                    policy=LedgerPolicy(session=dict(settings.policy)),
                    tls=trunk_tls(settings.key(KeyPurpose.TRUNK)),
                    traces=self._traces,
                )
                host = settings.inside_address
                self._address = (host, await self._ledger.start(host, 0))
                self._watching = asyncio.create_task(self._watch(self._ledger))
        return self._address

    async def settings(self) -> ClusterSettings:
        """What it was started with: who adopts it must want the same."""
        return self._settings

    async def level(self) -> PoolLevel:
        """How many standbys and live sessions there are. Raises Unavailable: it does not know."""
        return self._serving().level()

    async def pause_openings(self, for_s: float) -> int:
        """Open no session for so long, 0 for again; say how many are live or being opened.

        Raises Unavailable: it does not know.
        """
        return self._serving().pause_openings(for_s)

    async def nodes(self) -> NodeList:
        """How the nodes stand. Raises Unavailable: it does not know."""
        return self._serving().nodes()

    async def drain(self, ask: NodeDrain) -> NodeState:
        """Move a node's sessions away. Raises NotFound, Unavailable."""
        await self.address()
        assert self._ledger is not None
        return await self._ledger.drain(ask)

    async def undrain(self, ask: NodeUndrain) -> None:
        """Let a node have sessions again. Raises Unavailable."""
        await self.address()
        assert self._ledger is not None
        await self._ledger.undrain(ask)

    async def stop(self) -> None:
        """Close the database in order."""
        self._first.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self._ledger is not None:
            await self._ledger.close()
        if self._traces is not None:
            await asyncio.to_thread(self._traces.close)

    def _serving(self) -> Ledger:
        """Return the ledger, once it serves: before, it would tell of a cluster without a call."""
        if self._ledger is None or self._address is None:
            raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is starting.")
        return self._ledger

    async def _watch(self, ledger: Ledger) -> None:
        """End the process when another ledger took the term: Ray then starts a new one."""
        await ledger.stopped.wait()
        _LOG.error("the ledger lost its term")
        os._exit(1)
