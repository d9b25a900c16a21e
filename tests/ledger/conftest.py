"""A ledger on each database, and the members a test asks for, all closed at the end."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actors.ledger import LedgerPolicy
from broker.shards import WHOLE, Shard
from tests import databases
from tests.ledger import postgres
from tests.ledger.fakes import KEY, POLICY, Clock, FakeActor, FakeGateway, Home, LedgerAt
from tests.ledger.far import Far
from tests.ledger.receiver import Receiver

_databases = itertools.count(1)
_with_tables: dict[str, str] = {}
"""Of each server of PostgreSQL the database with tables that others are copies of."""


@dataclass
class Town:
    """One database, its ledger of the moment, and everybody who was started."""

    url: str
    stack: AsyncExitStack
    home: Home = field(default_factory=Home)
    clock: Clock = field(default_factory=Clock)
    shard: Shard = WHOLE
    ledgers: list[LedgerAt] = field(default_factory=list)

    @property
    def ledger(self) -> LedgerAt:
        return self.ledgers[-1]

    async def new_ledger(self, policy: LedgerPolicy = POLICY, owner: str = "") -> LedgerAt:
        """Start a ledger where members look for one; an earlier one is left running."""
        ledger = LedgerAt(
            self.url, KEY, now_ms=self.clock, shard=self.shard, owner=owner, policy=policy
        )
        self.stack.push_async_callback(ledger.close)
        await ledger.serve(self.home)
        self.ledgers.append(ledger)
        return ledger

    async def actor(
        self,
        *,
        kills: bool = False,
        node: str = "node-1",
        label: str = "",
        account_id: str | None = None,
        people_in_parts: bool = True,
    ) -> FakeActor:
        actor = FakeActor(
            self.home,
            kills=kills,
            node=node,
            label=label,
            account_id=account_id,
            people_in_parts=people_in_parts,
        )
        self.stack.push_async_callback(actor.die)
        return await actor.start()

    async def gateway(self) -> FakeGateway:
        gateway = FakeGateway(self.home, self.shard.of)
        self.stack.push_async_callback(gateway.link.close)
        return await gateway.start()

    async def receiver(self) -> Receiver:
        receiver = Receiver()
        receiver.now_s = self.clock.ms // 1000
        await receiver.start()
        self.stack.push_async_callback(receiver.stop)
        return receiver


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """What ends the processes that a test starts."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database it is."""
    return str(request.param)


@pytest.fixture
async def database_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind with a ledger's tables, and nothing in them."""
    if kind == "sqlite":
        return databases.sqlite(tmp_path / "ledger.db")
    return await new_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
async def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind that no ledger has seen."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return await empty_database(request.getfixturevalue("postgres_server"))


async def new_database(server: str) -> str:
    """Make a database of PostgreSQL with a ledger's tables; returns its URL."""
    if server not in _with_tables:
        _with_tables[server] = await empty_database(server)
        await databases.make_tables(_with_tables[server])
    return await _copy(server, _with_tables[server].rpartition("/")[2])


async def empty_database(server: str) -> str:
    """Make a database of PostgreSQL that no ledger has seen; returns its URL."""
    return await _copy(server, "template1")


async def _copy(server: str, original: str) -> str:
    name = f"ledger_{next(_databases)}"
    await postgres.execute(f"{server}/postgres", f"CREATE DATABASE {name} TEMPLATE {original}")
    return f"{server}/{name}"


@pytest.fixture
async def bare_town(database_url: str) -> AsyncIterator[Town]:
    """A town without a ledger yet."""
    async with AsyncExitStack() as stack:
        yield Town(database_url, stack)


@pytest.fixture
async def town(bare_town: Town) -> Town:
    await bare_town.new_ledger()
    return bare_town


@pytest.fixture
async def receiver(town: Town) -> Receiver:
    return await town.receiver()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def far(stack: AsyncExitStack) -> Far:
    far = Far()
    stack.push_async_callback(far.chores.close)
    return far
