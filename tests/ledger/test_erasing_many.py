"""Erasing somebody who has many sessions: in pieces, listed in pages, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from actors.ledger import erasure, keeping
from actors.ledger.database import Database
from actors.ledger.erasure import AT_ONCE, Erasing
from actors.ledger.schema import erasures, journal, sessions, subjects
from actors.ledger.writer import Writer
from broker.errors import SwitchboardError
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.shards import WHOLE
from tests.ledger import postgres
from tests.ledger.conftest import Town, new_database
from tests.ledger.fakes import ACCOUNT, entry
from tests.ledger.keepers import QUICK, keeper_link, run_keeper
from tests.ledger.steps import Steps
from tests.ledger.test_devices import make, use
from tests.ledger.test_erasure import AGENT, NAME, VISITOR, a_record, everything
from tests.patience import PATIENCE

IN_THE_NOTES_PLACE = sa.insert(journal).values(
    session_id="s0000", seq=3, epoch=1, at_ms=1, version=1, type="test.noted", body="{}"
)
"""Where the note of the first session's erasure would stand something stands already."""


def execute(statement: sa.Executable, connection: sa.Connection) -> None:
    """Do what changes rows, in a transaction of the caller's."""
    connection.execute(statement)


def ended(name: str, created_ms: int) -> dict[str, object]:
    """The row of a session of the agent that has ended."""
    return {
        "session_id": name,
        "account_id": ACCOUNT,
        "engagement_key": name,
        "ids": f'{{"agent_id":"{AGENT}"}}',
        "mode": "video",
        "phase": "ended",
        "epoch": 1,
        "epoch_base": 0,
        "last_seq": 2,
        "created_ms": created_ms,
        "ended_ms": created_ms + 1,
    }


def insert(connection: sa.Connection, rows: list[dict[str, object]]) -> None:
    connection.execute(sa.insert(sessions), rows)


async def with_sessions(town: Town, count: int) -> None:
    """Write ended sessions of the agent, as many as one has in a while."""
    database = Database(town.url)
    names = [f"s{number:04}" for number in range(count)]

    def fill(connection: sa.Connection) -> None:
        insert(connection, [ended(name, 1) for name in names])
        body = f'{{"role":"agent","agent_id":"{AGENT}","name":"{NAME}"}}'
        connection.execute(
            sa.insert(subjects),
            [{"session_id": name, "participant_id": "agent", "body": body} for name in names],
        )

    await database._writing.begin(fill)
    await database.close()


async def test_who_has_many_sessions_is_erased_in_many_transactions(town: Town) -> None:
    """In one, whatever calls write would wait for all of it, and above ten seconds fail."""
    _, _, link = await a_record(town, ended=True)
    await with_sessions(town, 3 * AT_ONCE)
    before = town.ledger.transactions
    ask = upkeep.PersonErase(account_id=ACCOUNT, agent_id=AGENT)
    erased = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert len(erased.erased) == 3 * AT_ONCE + 1
    # Of each fifty one that erases, one that notes it; and one for what the agent could log in by.
    assert town.ledger.transactions - before == 9
    assert AGENT not in await everything(town)
    noted = sa.select(sa.func.count()).where(journal.c.type == "subject.erased")
    database = Database(town.url)
    assert (await database.rows(noted))[0][0] == 3 * AT_ONCE + 1
    await database.close()


async def test_what_cannot_be_noted_of_one_session_keeps_nobody_from_being_erased(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    actor, _, link = await a_record(town, ended=True)
    await with_sessions(town, 2)
    database = Database(town.url)
    await database._writing.begin(partial(execute, IN_THE_NOTES_PLACE))
    noted = sa.select(journal.c.session_id).where(journal.c.type == "subject.erased")

    async def noted_in() -> list[str]:
        return sorted(row.session_id for row in await database.rows(noted))

    for person, count in ({"agent_id": AGENT}, 3), ({"visitor_id": VISITOR}, 1):
        ask = upkeep.PersonErase(account_id=ACCOUNT, **person)
        erased = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
        assert len(erased.erased) == count
    for name in (AGENT, VISITOR, NAME):
        assert name not in await everything(town)
    others = sorted(["s0001", str(actor.session_id), str(actor.session_id)])
    assert await noted_in() == others
    for _ in range(2):
        await link.call(keeping.Reconcile(), keeping.Reconciled)
    assert await noted_in() == others
    assert caplog.messages.count("An erasure could not be noted.") == 1, "it is said once"
    room = sa.delete(journal).where(journal.c.session_id == "s0000")
    await database._writing.begin(partial(execute, room))
    await link.call(keeping.Reconcile(), keeping.Reconciled)
    assert await noted_in() == sorted([*others, "s0000"])
    await database.close()


async def test_what_cannot_be_noted_is_kept_in_mind_only_while_it_is_missing(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    """A ledger lives for months, and records expire."""
    _, _, link = await a_record(town, ended=True)
    await with_sessions(town, 1)
    database = Database(town.url)
    missing = {"session_id": "s0000", "participant_id": "agent", "erased_ms": 1, "noted": False}
    there = sa.insert(erasures).values(**missing)
    for change, said in (
        (IN_THE_NOTES_PLACE, 0),
        (there, 1),
        (sa.delete(erasures), 1),
        (there, 2),
    ):
        await database._writing.begin(partial(execute, change))
        for _ in range(2):
            await link.call(keeping.Reconcile(), keeping.Reconciled)
        assert caplog.messages.count("An erasure could not be noted.") == said
    await database.close()


@pytest.mark.parametrize("person", [{"agent_id": AGENT}, {"visitor_id": VISITOR}])
async def test_however_many_sessions_an_account_has_each_look_for_somebody_is_as_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, person: dict[str, str]
) -> None:
    """A read has ten seconds, and nobody is forgotten by one that fails."""
    monkeypatch.setattr(erasure, "LOOKED_AT", 20)
    steps, longest = Steps(), 0

    class Watched(Database):
        async def rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
            nonlocal longest
            steps.taken()
            found = await super().rows(query)
            longest = max(longest, steps.taken())
            return found

    database = Watched(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await database.take_term(0)
    writer = Writer(database)
    writer.start()
    looks = []
    try:
        await database.rows(sa.select(sessions))
        await steps.of(database, reads=True)
        for first, count in ((0, 50), (50, 350)):
            await database.write(partial(fill, first=first, count=count))
            longest = 0
            ask = upkeep.PersonErase(account_id=ACCOUNT, **person)
            erased = await Erasing(database, writer, lambda: 0, WHOLE).erase(ask)
            assert len(erased.erased) == count
            looks.append(longest)
        assert 0 < looks[1] < 1.5 * looks[0]
    finally:
        await writer.close()
        await database.close()


def fill(connection: sa.Connection, first: int, count: int) -> None:
    """Write ended sessions of agent and visitor, two of each moment."""
    names = [(f"s{number}", number // 2) for number in range(first, first + count)]
    insert(connection, [ended(name, at_ms) for name, at_ms in names])
    people = {
        "agent": f'{{"role":"agent","agent_id":"{AGENT}"}}',
        "consumer": f'{{"role":"consumer","visitor_id":"{VISITOR}"}}',
    }
    rows = [
        {"session_id": name, "participant_id": who, "body": body}
        for name, _ in names
        for who, body in people.items()
    ]
    connection.execute(sa.insert(subjects), rows)


async def test_what_frees_what_was_erased_holds_up_no_write(postgres_server: str) -> None:
    """VACUUM waits for another of the same table, such as PostgreSQL's own, however long it is."""
    async with AsyncExitStack() as stack:
        town = Town(await new_database(postgres_server), stack)
        await town.new_ledger()
        actor, _, link = await a_record(town, ended=False)
        other = Database(town.url)
        stack.push_async_callback(other.close)
        held, release = asyncio.Event(), asyncio.Event()
        stack.callback(release.set)

        async def hold() -> None:
            async with other._reading._engine.begin() as connection:  # type: ignore[attr-defined]
                await connection.execute(
                    sa.text("LOCK TABLE subjects IN SHARE UPDATE EXCLUSIVE MODE")
                )
                held.set()
                await release.wait()

        holding = asyncio.create_task(hold())
        await held.wait()
        ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
        erasing = asyncio.create_task(link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE))
        await vacuum_waits(other)
        await actor.append(entry(3))
        assert not erasing.done()
        release.set()
        await holding
        assert len((await erasing).erased) == 1


async def test_nothing_that_was_erased_waits_to_be_freed(postgres_server: str) -> None:
    """Of tables that change seldom PostgreSQL frees no old row by itself."""
    async with AsyncExitStack() as stack:
        town = Town(await new_database(postgres_server), stack)
        await town.new_ledger()
        actor, gateway, link = await a_record(town, ended=True)
        assert actor.session_id is not None
        note = upkeep.SessionAnnotate(
            session_id=actor.session_id, account_id=ACCOUNT, metadata={"caller": "Wilhelmine"}
        )
        await link.call(note, Done)
        await make(town, gateway, "e1", agent_id=AGENT)
        await use(gateway, "e1")
        await make(town, gateway, "e2", agent_id=AGENT)
        for person in ({"visitor_id": VISITOR}, {"agent_id": AGENT}):
            ask = upkeep.PersonErase(account_id=ACCOUNT, **person)
            await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
        await postgres.execute(town.url, "CREATE EXTENSION pgstattuple")
        count = "SELECT dead_tuple_count FROM pgstattuple('{}')"
        for table in ("sessions", "subjects", "notes", "enrolments", "devices"):
            assert await postgres.value(town.url, count.format(table)) == 0, table


async def vacuum_waits(database: Database) -> None:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'VACUUM%'"
    )
    while await database.read(lambda connection: connection.scalar(waiting)) != 1:
        pass


async def test_who_was_erased_is_listed_in_pages(town: Town) -> None:
    """One agent may have more sessions than a frame has room for, all erased at one time."""
    _, _, link = await a_record(town, ended=True)
    await with_sessions(town, 6)
    ask = upkeep.PersonErase(account_id=ACCOUNT, agent_id=AGENT)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    town.clock.ms += 1
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    whole = await link.call(upkeep.ErasureList(account_id=ACCOUNT), upkeep.Erasures)
    assert (len(whole.erased), whole.cursor) == (8, None)
    found: list[upkeep.Erasure] = []
    sizes = []
    cursor = None
    while cursor is not None or not found:
        page = upkeep.ErasureList(account_id=ACCOUNT, limit=3, cursor=cursor)
        told = await link.call(page, upkeep.Erasures)
        found += told.erased
        sizes.append(len(told.erased))
        cursor = told.cursor
    assert (found, sizes) == (whole.erased, [3, 3, 2])
    since = upkeep.ErasureList(account_id=ACCOUNT, since_ms=town.clock.ms, limit=3)
    told = await link.call(since, upkeep.Erasures)
    assert (told.erased, told.cursor) == (whole.erased[-1:], None)
    with pytest.raises(SwitchboardError, match="not one of ours"):
        await link.call(page.model_copy(update={"cursor": "MTox"}), upkeep.Erasures)


async def test_records_that_are_over_are_deleted_in_many_transactions(town: Town) -> None:
    """The first time that an account has a retention, years of them may be."""
    await with_sessions(town, 2 * AT_ONCE + 1)
    link = await keeper_link(town)
    expire = keeping.RecordExpire(account_id=ACCOUNT, before_ms=town.clock.ms)
    assert (await link.call(expire, keeping.Expired)).count == AT_ONCE
    await run_keeper(town, policy=replace(QUICK, retention_days={ACCOUNT: 1}, expire_s=600.0))
    database = Database(town.url)
    while await database.rows(sa.select(sessions.c.session_id).limit(1)):
        pass
    await database.close()


async def test_what_is_kept_makes_it_no_slower_to_delete_what_is_over(tmp_path: Path) -> None:
    """It is looked for every hour, in the writer that all accounts' calls wait for."""
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await database.take_term(0)
    writer = Writer(database)
    writer.start()
    erasing = Erasing(database, writer, lambda: 0, WHOLE)
    expire = keeping.RecordExpire(account_id=ACCOUNT, before_ms=1_000)
    steps = Steps()
    taken = []
    try:
        await steps.of(database)
        for kept in (0, 1_000):
            over = [ended(f"{kept}-{number}", number) for number in range(5)]
            young = [ended(f"{kept}-{number}", number) for number in range(1_000, 1_000 + kept)]
            await database.write(partial(insert, rows=over + young))
            steps.taken()
            assert (await erasing.expire(expire)).count == 5
            taken.append(steps.taken())
        assert 0 < taken[1] < 2 * taken[0]
    finally:
        await writer.close()
        await database.close()
