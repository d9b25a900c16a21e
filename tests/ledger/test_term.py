"""Two ledgers that both believe: only the later one can write."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.ledger.database import Database, Superseded
from actors.ledger.migrations import MIGRATIONS
from actors.ledger.schema import schema_floor, schema_version
from broker.errors import ErrorCode, SwitchboardError
from broker.messages.cluster.nodes import PoolLevel
from tests.ledger import postgres
from tests.ledger.conftest import Town
from tests.ledger.fakes import HOST, FakeGateway, Home, entry
from tests.patience import PATIENCE, until


async def test_two_ledgers_cannot_both_write(bare_town: Town) -> None:
    town = bare_town
    old = await town.new_ledger()
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    # The new ledger takes the term while the old one's members are still linked to the old one.
    where = town.home.port
    new = await town.new_ledger()
    assert (old.term, new.term) == (1, 2)
    assert town.home.port != where
    with pytest.raises(SwitchboardError):
        await actor.append(entry(2, word="written by nobody"))
    await asyncio.wait_for(old.stopped.wait(), 10 * PATIENCE)
    # Its members went to the new one, and there the same append is written once.
    await until(lambda: actor.link.term == 2 and actor.link.is_up, "the actor at the new ledger")
    await actor.append(entry(2, word="written once"))
    await actor.append(entry(2, word="written again"))
    record = await gateway.record(session_id)
    assert [one.body.get("word") for one in record.events] == [None, "written once"]


async def test_the_older_ledger_takes_no_new_links(bare_town: Town) -> None:
    town = bare_town
    old = await town.new_ledger()
    actor, gateway = await town.actor(), await town.gateway()
    await gateway.open()
    old_home = Home()
    old_home.port = town.home.port
    await town.new_ledger()
    with pytest.raises(SwitchboardError):
        await actor.append(entry(2))
    await asyncio.wait_for(old.stopped.wait(), 10 * PATIENCE)
    late = FakeGateway(old_home)
    await late.link.start()
    with pytest.raises(SwitchboardError):
        await late.link.wait_up(0.2)
    await late.link.close()


async def test_a_deployment_whose_database_another_took_does_not_take_it_back(
    bare_town: Town,
) -> None:
    """Two clusters on one database: Ray restarts the ledger of each for ever."""
    town = bare_town
    old = await town.new_ledger(owner="blue")
    holder, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await old.close()
    old = await town.new_ledger(owner="blue")
    assert old.term == 2, "its own restart"
    await until(lambda: holder.link.term == 2 and holder.link.is_up, "the holder is back")
    # The new cluster has a ledger, standbys and gateways of its own.
    green = Town(town.url, town.stack)
    new = await green.new_ledger(owner="green")
    standby, gateway = await green.actor(), await green.gateway()
    with pytest.raises(SwitchboardError):
        await holder.append(entry(2, word="written by nobody"))
    await asyncio.wait_for(old.stopped.wait(), 5 * PATIENCE)
    for owner in ("blue", "", "blue"):
        with pytest.raises(Superseded, match="switchboard down"):
            await Town(town.url, town.stack).new_ledger(owner=owner)
    assert not new.stopped.is_set()
    # The old cluster is ended, and its people come to the new one's gateways.
    await holder.die()
    place = await gateway.takeover(session_id, 1)
    assert (place.epoch, place.port) == (2, standby.port)
    await standby.append(entry(2, word="written once"))
    # Whoever starts the old one anew means it.
    again = await Town(town.url, town.stack).new_ledger(owner="blue, once more")
    assert (new.term, again.term) == (3, 4)
    with pytest.raises(Superseded):
        await Town(town.url, town.stack).new_ledger(owner="green")


async def test_a_database_that_only_later_releases_can_work_with_is_refused(
    bare_town: Town,
) -> None:
    database = Database(bare_town.url)
    await database.take_term(1)

    def migrate_further(connection: sa.Connection) -> None:
        connection.execute(sa.insert(schema_version).values(version=len(MIGRATIONS) + 1))
        connection.execute(sa.update(schema_floor).values(version=len(MIGRATIONS) + 1))

    await database.write(migrate_further)
    await database.close()
    with pytest.raises(RuntimeError, match="schema version"):
        await bare_town.new_ledger()


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_databases_that_cannot_hold_a_ledger_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database must be"):
        Database(url)


async def test_sqlite_flushes_every_commit(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    await database.take_term(1)
    mode, synchronous = await database.write(
        lambda connection: [
            connection.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")
        ]
    )
    await database.close()
    assert (mode, synchronous) == ("wal", 2)


async def test_a_port_that_is_taken_leaves_nothing_open(town: Town) -> None:
    ledger = type(town.ledger)(town.url, b"k" * 32, now_ms=town.clock)
    with pytest.raises(OSError, match="in use"):
        await ledger.start(HOST, town.home.port)
    assert PoolLevel(standbys=0, live=0, queued=0) == town.ledger.level()


async def test_a_database_that_breaks_its_connections_is_away_for_a_moment(
    bare_town: Town,
) -> None:
    town = bare_town
    await town.new_ledger()
    if town.url.startswith("sqlite"):
        return  # no connection that could break
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await postgres.execute(
        town.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    refusals: list[SwitchboardError] = []
    while len(refusals) < 3:
        try:
            await actor.append(entry(2, word="kept"))
            break
        except SwitchboardError as error:
            refusals.append(error)
    assert {error.code for error in refusals} <= {ErrorCode.LEDGER_AWAY}
    assert len(refusals) < 3
    assert len((await gateway.record(session_id)).events) == 2
    assert not town.ledger.stopped.is_set()
