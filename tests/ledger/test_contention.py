"""Ledgers that share one PostgreSQL, and one that has changed behind a ledger's back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.util import await_only

from actors.ledger.audience import Audience
from actors.ledger.database import Database
from actors.ledger.devices import DeviceBook
from actors.ledger.drains import Cordon
from actors.ledger.schema import answers, cordons, devices, enrolments, revocations
from actors.ledger.sharing import Sharing
from actors.ledger.writer import Writer
from broker.errors import Unavailable
from broker.messages.cluster.nodes import PoolLevel
from broker.messages.devices import EnrolmentMake
from broker.messages.sharing import AnswerClaim, Revocation
from broker.words import Role
from tests.ledger.conftest import new_database
from tests.ledger.fakes import ACCOUNT
from tests.patience import PATIENCE

NOW_MS = 400 * 86_400_000


@dataclass
class Shared:
    """A ledger's writer, and the connection of another on the same database."""

    database: Database
    writer: Writer
    other: AsyncConnection


@pytest.fixture
async def shared(postgres_server: str) -> AsyncIterator[Shared]:
    url = await new_database(postgres_server)
    database = Database(url)
    await database.take_term(0)
    writer = Writer(database)
    writer.start()
    engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as other:
            yield Shared(database, writer, other)
    finally:
        await writer.close()
        await database.close()
        await engine.dispose()


async def waits_for_a_lock(database: Database) -> None:
    """Wait until somebody waits for a row."""
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while await database.read(lambda connection: connection.scalar(waiting)) != 1:
        pass


async def test_a_write_that_is_undone_for_anothers_sake_is_done_again(shared: Shared) -> None:
    for node in ("n1", "n2"):
        await shared.writer.do(Cordon(node, 0, 0))
    done = 0
    first_taken, other_waits = asyncio.Event(), asyncio.Event()

    def both(connection: sa.Connection) -> str:
        nonlocal done
        done += 1
        connection.execute(sa.text("SET LOCAL deadlock_timeout = '10ms'"))
        Cordon("n1", 0, done)(connection)
        first_taken.set()
        await_only(other_waits.wait())
        Cordon("n2", 0, done)(connection)
        return "done"

    # Who waits for longer than this looks once whether both wait for each other, and gives way.
    await shared.other.execute(sa.text("SET LOCAL deadlock_timeout = '10min'"))
    end = sa.update(cordons).values(deadline_ms=9)
    await shared.other.execute(end.where(cordons.c.node == "n2"))
    write = asyncio.create_task(shared.writer.do(both))
    async with asyncio.timeout(20 * PATIENCE):
        await first_taken.wait()
        ending = asyncio.create_task(shared.other.execute(end.where(cordons.c.node == "n1")))
        await waits_for_a_lock(shared.database)
        other_waits.set()
        await ending
        await shared.other.commit()
        assert (await write, done) == ("done", 2)
    rows = await shared.database.rows(sa.select(cordons.c.deadline_ms))
    assert [row.deadline_ms for row in rows] == [2, 2]


async def test_a_database_that_became_a_replica_is_away(shared: Shared) -> None:
    read_only = sa.text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    await shared.database.write(lambda connection: connection.execute(read_only))
    with pytest.raises(Unavailable):
        await shared.writer.do(Cordon("n1", 0, 0))


def sharing(shared: Shared) -> Sharing:
    nobody = Audience(lambda: PoolLevel(standbys=0, live=0, queued=0), 1.0)
    return Sharing(shared.database, shared.writer, nobody, lambda: NOW_MS)


async def claim(shared: Shared) -> None:
    await sharing(shared).claim(AnswerClaim(place="new", fingerprint="f", account_id=ACCOUNT))


async def revoke(shared: Shared) -> None:
    ask = Revocation(account_id=ACCOUNT, subject_hash="new", at_s=1.0, until_s=NOW_MS / 500)
    await sharing(shared).revoke(ask)


async def enrol(shared: Shared) -> None:
    ask = EnrolmentMake(
        enrolment_id="new",
        account_id=ACCOUNT,
        agent_id="7",
        name="Ann",
        role=Role.AGENT,
        secret_hash="h",
        expires_ms=NOW_MS + 1,
        tries=1,
    )
    await DeviceBook(shared.database, shared.writer, lambda: NOW_MS).make(ask)


DEVICE = {
    "device_id": "old",
    "account_id": "other",
    "agent_id": "8",
    "name": "Bo",
    "role": "agent",
    "public_key": "k",
    "enrolled_ms": 1,
    "seen_ms": 1,
}
CODE = {
    "enrolment_id": "old",
    "account_id": "other",
    "agent_id": "8",
    "name": "Bo",
    "role": "agent",
    "secret_hash": "h",
    "expires_ms": 1,
    "tries_left": 1,
}


@pytest.mark.parametrize(
    ("ask", "table", "late"),
    [
        (claim, answers, {"place": "old", "fingerprint": "f", "begun_ms": 1, "sealed": "s"}),
        (
            revoke,
            revocations,
            {"account_id": "other", "subject_hash": "old", "at_s": 0.0, "until_s": 1.0},
        ),
        (enrol, enrolments, CODE),
        (enrol, devices, DEVICE),
    ],
    ids=["answers", "revocations", "codes", "devices"],
)
async def test_late_rows_that_another_ledger_deletes_are_not_waited_for(
    shared: Shared,
    ask: Callable[[Shared], Awaitable[None]],
    table: sa.Table,
    late: dict[str, object],
) -> None:
    await shared.database.write(
        lambda connection: connection.execute(sa.insert(table), [late, {**late, **second(table)}])
    )
    key = next(iter(second(table)))
    await shared.other.execute(sa.delete(table).where(table.c[key] == "old"))
    async with asyncio.timeout(5 * PATIENCE):
        await ask(shared)
    await shared.other.rollback()
    left = {row._mapping[key] for row in await shared.database.rows(sa.select(table))}
    assert left - {"new"} == {"old"}, "those that nobody has at hand are gone"


def second(table: sa.Table) -> dict[str, object]:
    """What another late row has in place of the first one's name."""
    return {list(table.primary_key.columns)[-1].name: "older"}
