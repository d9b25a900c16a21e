"""The keeper in a Ray actor."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from broker.keys import KeyPurpose
from broker.messages.cluster.members import LinkHello
from broker.shards import Shard
from gateway import logs
from gateway.accounts import Account
from gateway.accounts_file import BadAccounts, load_accounts
from gateway.clock import steady_clock
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_name
from gateway.compose.settings import ClusterSettings
from gateway.secret_file import read_secret
from gateway.trunk_tls import trunk_tls

if TYPE_CHECKING:
    from actors.keeper import Endpoint, Keeper

_LOG = logging.getLogger(__name__)
ACCOUNTS_POLL_S = 10.0
"""How often the keeper looks whether the accounts file has changed."""


class KeeperHost:
    """The keeper in a Ray actor. It starts by itself, also when Ray has restarted it.

    Where there are several ledgers, it is one keeper for each, of that ledger's accounts.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        logs.configure()
        self._settings = settings
        self._keepers: list[Keeper] = []
        loop = asyncio.get_running_loop()
        self._starting = loop.create_task(self._begin())
        self._watching = loop.create_task(self._watch())

    async def start(self) -> None:
        """Wait until it looks after the ledger. Raises what the first start failed by."""
        await self._starting

    async def stop(self) -> None:
        """End what it was sending; the next keeper sends it again."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        for keeper in self._keepers:
            await keeper.close()

    async def _watch(self) -> None:
        """Begin anew whenever the accounts file changes; one that is wrong changes nothing, and is
        looked at again: it may be a secret that comes later."""
        read_at = self._changed_at()
        await asyncio.wait((self._starting,))
        while True:
            await asyncio.sleep(ACCOUNTS_POLL_S)
            changed_at = self._changed_at()
            if changed_at == read_at and self._keepers:
                continue
            try:
                await self._begin()
            except (BadAccounts, OSError, ValueError) as error:
                _LOG.error("accounts not taken over", extra={"why": str(error)})
            else:
                read_at = changed_at

    def _changed_at(self) -> int:
        """Time of the accounts file's last change, ns; 0 when there is none."""
        try:
            return Path(self._settings.accounts_file or "").stat().st_mtime_ns
        except OSError:
            return 0

    async def _begin(self) -> None:
        settings = self._settings
        accounts: Mapping[str, Account] = {}
        if settings.accounts_file is not None:
            accounts = load_accounts(Path(settings.accounts_file), demo=settings.demo)
        keepers = [
            self._keeper_of(Shard(number, settings.ledger_shards), accounts)
            for number in range(settings.ledger_shards)
        ]
        before, self._keepers = self._keepers, keepers
        for each in before:
            await each.close()
        for each in keepers:
            await each.start()

    def _keeper_of(self, shard: Shard, accounts: Mapping[str, Account]) -> Keeper:
        from actors.keeper import DeliveryPolicy, Keeper, KeeperPolicy

        settings = self._settings
        mine = {name: each for name, each in accounts.items() if shard.has(each.account_id)}
        return Keeper(
            LedgerAddress(shard.number),
            settings.key(KeyPurpose.TRUNK),
            LinkHello(
                kind="keeper",
                member_id=secrets.token_urlsafe(12),
                node=node_name(),
                shards=shard.of,
            ),
            now_ms=steady_clock(),
            tls=trunk_tls(settings.key(KeyPurpose.TRUNK)),
            endpoints=webhook_endpoints(mine),
            policy=KeeperPolicy(
                delivery=DeliveryPolicy(loopback_allowed=settings.demo),
                retention_days={
                    each.account_id: each.retention_days
                    for each in mine.values()
                    if each.retention_days is not None
                },
            ),
        )


def webhook_endpoints(accounts: Mapping[str, Account]) -> list[Endpoint]:
    """Join the accounts' webhooks with their secrets.

    Raises:
        OSError, ValueError: a secret cannot be read, is too short, or others can read it.
    """
    from actors.keeper import Endpoint

    return [
        Endpoint(hook.endpoint_id, account.account_id, hook.url, read_secret(hook.secret_file))
        for account in accounts.values()
        for hook in account.webhooks
    ]
