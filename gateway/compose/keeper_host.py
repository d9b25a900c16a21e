"""The keeper in a Ray actor."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from broker.keys import KeyPurpose
from broker.messages.cluster import LinkHello
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_name, steady_clock
from gateway.compose.settings import ClusterSettings

if TYPE_CHECKING:
    from actors.keeper import Keeper


class KeeperHost:
    """The keeper in a Ray actor. It starts by itself, also when Ray has restarted it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._keeper: Keeper | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def start(self) -> None:
        """Wait until it looks after the ledger."""
        await self._starting

    async def stop(self) -> None:
        """End what it was sending; the next keeper sends it again."""
        await self._starting
        if self._keeper is not None:
            await self._keeper.close()

    async def _start(self) -> None:
        from actors.keeper import Keeper

        self._keeper = Keeper(
            LedgerAddress(),
            self._settings.key(KeyPurpose.TRUNK),
            LinkHello(kind="keeper", member_id=secrets.token_urlsafe(12), node=node_name()),
            now_ms=steady_clock(),
        )
        await self._keeper.start()
