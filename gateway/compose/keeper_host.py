"""The keeper in a Ray actor."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from broker.keys import KeyPurpose
from broker.messages.cluster.members import LinkHello
from broker.shards import Shard
from gateway.accounts import Account
from gateway.accounts_file import BadAccounts, changed_at, readable_accounts
from gateway.clock import steady_clock
from gateway.commands import logs
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_name
from gateway.compose.settings import ClusterSettings
from gateway.links.trunk_tls import trunk_tls
from gateway.secret_file import read_secret

if TYPE_CHECKING:
    from actors.keeper import Endpoint, Keeper

_LOG = logging.getLogger(__name__)
ACCOUNTS_POLL_S = 10.0
"""How often the keeper looks whether the accounts file, or a secret it names, has changed."""
ACCOUNTS_WRONG = "accounts_wrong"
"""The code of what is logged when the accounts file, or a secret it names, cannot be used."""


@dataclass(frozen=True, slots=True)
class Known:
    """The accounts that can be used, with their webhooks, and what is wrong with the others."""

    accounts: Mapping[str, Account]
    endpoints: tuple[Endpoint, ...]
    faults: tuple[str, ...]


class KeeperHost:
    """The keeper in a Ray actor. It starts by itself, also when Ray has restarted it.

    Where there are several ledgers, it is one keeper for each, of that ledger's accounts. Whatever
    stands in the accounts file, sessions are reconciled: a file that went wrong changes nothing,
    and a keeper that starts with a wrong one serves the accounts that it can read.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        logs.configure()
        self._settings = settings
        self._keepers: list[Keeper] = []
        self._known: Known | None = None
        self._faults: tuple[str, ...] = ()
        """What the last look at the accounts found wrong, which was said then."""
        self._why_not: str | None = None
        """Why there is no keeper, as it was said."""
        self._looked_at: dict[Path, int] = {}
        """What `_changes` said when they were read."""
        loop = asyncio.get_running_loop()
        self._starting = loop.create_task(self._look())
        self._watching = loop.create_task(self._watch())

    async def start(self) -> None:
        """Wait until it looks after the ledger.

        Raises:
            BadAccounts: it does, and not for all accounts: the file is wrong.
            OSError, ValueError: it does not, as the deployment's own secret cannot be used.
        """
        await self._starting
        if self._faults:
            raise BadAccounts(self._faults[0])

    async def stop(self) -> None:
        """End what it was sending; the next keeper sends it again."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        for keeper in self._keepers:
            await keeper.close()

    async def _watch(self) -> None:
        """Look again whenever the accounts file or a webhook's secret changes, and while something
        is wrong with them: it may be a secret that comes later."""
        await asyncio.wait((self._starting,))
        while True:
            await asyncio.sleep(ACCOUNTS_POLL_S)
            if self._changes() == self._looked_at and self._keepers and not self._faults:
                continue
            try:
                await self._look()
            except (OSError, ValueError) as error:
                if str(error) != self._why_not:
                    _LOG.error("keeper not started", extra={"why": str(error)})
                self._why_not = str(error)
            except Exception:
                # A mistake about one state of the files must not keep the next from being seen.
                _LOG.exception("accounts not looked at")
            else:
                self._why_not = None

    def _changed_at(self) -> None:
        """Nothing: what Ray stored of the release before names it, and looks at its signature."""

    def _changes(self) -> dict[Path, int]:
        """When the accounts file and the secrets of the known webhooks changed last."""
        files = [Path(self._settings.accounts_file or "")]
        if self._known is not None:
            accounts = self._known.accounts.values()
            files += [hook.secret_file for each in accounts for hook in each.webhooks]
        return {file: changed_at(file) for file in files}

    async def _look(self) -> None:
        """Read the accounts, and go on with what is known of them now."""
        # Before they are read: what changes meanwhile is seen by the next look.
        changes = self._changes()
        known = known_accounts(self._settings)
        self._say(known)
        before = self._known
        if before is None or (known != before and (before.faults or not known.faults)):
            await self._begin(known)
        for each in self._keepers:
            each.account_faults = len(known.faults)
        self._looked_at = changes

    def _say(self, known: Known) -> None:
        """Log what was not wrong at the look before: it is looked at every few seconds."""
        for fault in known.faults:
            if fault not in self._faults:
                facts = {"code": ACCOUNTS_WRONG, "why": fault, "readable": len(known.accounts)}
                _LOG.error("accounts not taken over", extra=facts)
        if self._faults and not known.faults:
            _LOG.warning("accounts can be taken over again")
        self._faults = known.faults

    async def _begin(self, known: Known) -> None:
        of = self._settings.ledger_shards
        keepers = [self._keeper_of(Shard(number, of), known) for number in range(of)]
        before, self._keepers = self._keepers, keepers
        self._known = known
        for each in before:
            try:
                await each.close()
            except Exception:
                # Those that follow must begin, or nobody looks after the ledger any more.
                _LOG.exception("keeper not closed in order")
        for each in keepers:
            await each.start()

    def _keeper_of(self, shard: Shard, known: Known) -> Keeper:
        from actors.keeper import DeliveryPolicy, Keeper, KeeperPolicy

        settings = self._settings
        mine = [each for each in known.accounts.values() if shard.has(each.account_id)]
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
            endpoints=[each for each in known.endpoints if shard.has(each.account_id)],
            knows_all=not known.faults,
            policy=KeeperPolicy(
                delivery=DeliveryPolicy(loopback_allowed=settings.demo),
                retention_days={
                    each.account_id: each.retention_days
                    for each in mine
                    if each.retention_days is not None
                },
            ),
        )


def known_accounts(settings: ClusterSettings) -> Known:
    """Read the accounts file and the secrets of its webhooks, as far as they can be used.

    An account of which one secret cannot be read is left out whole: what its other webhooks get
    would count as delivered to all of them.
    """
    if settings.accounts_file is None:
        return Known({}, (), ())
    accounts, faults = readable_accounts(Path(settings.accounts_file), demo=settings.demo)
    known: dict[str, Account] = {}
    endpoints: list[Endpoint] = []
    for name, account in accounts.items():
        try:
            endpoints += webhook_endpoints({name: account})
        except (OSError, ValueError) as error:
            faults.append(f"accounts.{name}: {error}")
        else:
            known[name] = account
    return Known(known, tuple(endpoints), tuple(faults))


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
