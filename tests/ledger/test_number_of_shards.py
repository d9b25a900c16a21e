"""How many ledgers a database has: one number at a time, whoever still runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.ledger.database import Database, OtherShards, TermLost
from actors.ledger.migrations import MIGRATIONS
from actors.ledger.schema import schema_version, terms
from broker.errors import Unavailable
from broker.shards import Shard
from tests.ledger.conftest import Town, empty_database, new_database
from tests.ledger.fakes import entry
from tests.patience import PATIENCE


async def test_the_number_of_ledgers_changes_only_while_nothing_is_live(
    postgres_server: str,
) -> None:
    url = await new_database(postgres_server)
    async with AsyncExitStack() as stack:
        town = Town(url, stack)
        only = await town.new_ledger()
        actor, gateway = await town.actor(), await town.gateway()
        await gateway.open()
        halves = [Town(url, stack, shard=Shard(number, 2)) for number in range(2)]
        for half in halves:
            with pytest.raises(OtherShards, match="other_ledger_shards: 1 sessions are live"):
                await half.new_ledger()
        await actor.append(entry(2), entry(3, "session.ended", reason="ended_by_agent"))
        await halves[1].new_ledger()
        # The only one of before still runs, and writes no more.
        await town.actor()
        with pytest.raises(Unavailable):
            await gateway.open("eng-2")
        await asyncio.wait_for(only.stopped.wait(), 5 * PATIENCE)
        await halves[0].new_ledger()
        assert (halves[0].ledger.level().live, halves[1].ledger.level().live) == (0, 0)


async def test_two_ledgers_that_find_an_empty_database_at_once_make_its_tables_in_turn(
    postgres_server: str,
) -> None:
    url = await empty_database(postgres_server)
    halves = [Database(url, Shard(number, 2)) for number in range(2)]
    try:
        assert await asyncio.gather(*(half.take_term(1) for half in halves)) == [1, 1]
        made = await halves[0].rows(sa.select(schema_version.c.version).order_by("version"))
        assert [row.version for row in made] == list(range(1, len(MIGRATIONS) + 1))
    finally:
        for half in halves:
            await half.close()


async def test_no_term_comes_again_when_the_number_changes_and_changes_back(
    postgres_server: str,
) -> None:
    url = await new_database(postgres_server)
    async with AsyncExitStack() as stack:

        async def take(number: int, of: int) -> Database:
            database = Database(url, Shard(number, of))
            stack.push_async_callback(database.close)
            await database.take_term(1)
            return database

        taken = [
            await take(number, of)
            for number, of in ((1, 2), (0, 2), (0, 1), (1, 2), (0, 2), (0, 3), (1, 2), (0, 2))
        ]
        by_shard = [[each.term for each in taken if each._shard.number == n] for n in range(2)]
        for found in by_shard:
            assert all(before < after for before, after in pairwise(found))
        for before in taken[:-2]:
            with pytest.raises(TermLost):
                await before.write(lambda connection: None)
        for now in taken[-2:]:
            await now.write(lambda connection: None)
        rows = await taken[-1].rows(sa.select(terms.c.shard).order_by(terms.c.shard))
        assert [row.shard for row in rows] == [0, 1]


def test_sqlite_has_one_shard(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than one shard"):
        Database(f"sqlite:///{tmp_path}/ledger.db", Shard(0, 2))
