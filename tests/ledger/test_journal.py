"""Appends: idempotent, in order, fenced by epoch. Properties of the tail, then real tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger.database import Database
from actors.ledger.journal import Append, Tail
from actors.ledger.rows import Grant, NewSession, load_journal
from actors.ledger.writer import Writer
from broker.errors import (
    Conflict,
    ErrorCode,
    Gone,
    Internal,
    NotFound,
    SwitchboardError,
    Unavailable,
)
from broker.messages.cluster.members import SessionMember
from broker.messages.cluster.tenure import JournalEntry, Journalled
from broker.words import EndReason, Mode, SessionPhase
from tests.ledger.fakes import HOST, entry, opening


def tail(epoch: int = 1, base: int = 0, last: int = 0) -> Tail:
    return Tail(epoch, base, last, SessionPhase.OPEN, Mode.VIDEO)


def run(start: int, count: int) -> list[JournalEntry]:
    return [entry(seq) for seq in range(start, start + count)]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 6)), max_size=30))
def test_whatever_is_sent_again_the_journal_is_one_run_without_gaps(
    sends: list[tuple[int, int]],
) -> None:
    there, stored = tail(), list[int]()
    for start, count in sends:
        try:
            fresh = there.admit(Append("s", 1, run(start, count)))
        except Unavailable:
            assert start > len(stored) + 1
            continue
        stored += [one.seq for one in fresh]
    assert stored == list(range(1, len(stored) + 1))
    assert there.last_seq == len(stored)


@given(
    st.lists(
        st.one_of(
            st.just("grant"),
            st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 4)),
        ),
        max_size=40,
    )
)
def test_only_the_present_epoch_writes_and_only_behind_the_earlier_ones(
    steps: list[str | tuple[int, int, int]],
) -> None:
    there = tail()
    written: dict[int, int] = {}
    for step in steps:
        if isinstance(step, str):
            there = tail(there.epoch + 1, there.last_seq, there.last_seq)
            continue
        epoch, start, count = step
        before = there.last_seq
        try:
            fresh = there.admit(Append("s", epoch, run(start, count)))
        except SwitchboardError:
            assert there.last_seq == before
            continue
        assert epoch == there.epoch
        for one in fresh:
            assert one.seq not in written
            written[one.seq] = epoch
    epochs = [written[seq] for seq in sorted(written)]
    assert epochs == sorted(epochs)


def test_an_append_that_forks_an_earlier_epoch_is_refused() -> None:
    with pytest.raises(Conflict) as stale:
        tail(epoch=2, base=5, last=5).admit(Append("s", 2, run(5, 2)))
    assert stale.value.code is ErrorCode.STALE_EPOCH


def test_nothing_follows_the_end_but_the_end_may_be_said_again() -> None:
    there = tail()
    end = entry(1, "session.ended", reason="lost")
    assert there.admit(Append("s", 1, [end])) == [end]
    assert (there.phase, there.end_reason) == (SessionPhase.ENDED, EndReason.LOST)
    assert there.admit(Append("s", 1, [end])) == []
    with pytest.raises(Gone):
        there.admit(Append("s", 1, [entry(2)]))
    fresh = tail()
    with pytest.raises(Gone):
        fresh.admit(Append("s", 1, [end, entry(2)]))
    assert fresh.last_seq == 0


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.take_term(1)
    yield database
    await database.close()


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Writer]:
    writer = Writer(database)
    writer.start()
    yield writer
    await writer.close()


def member(name: str) -> SessionMember:
    return SessionMember(member_id=name, node="n", host=HOST, port=1)


async def create(writer: Writer, name: str) -> None:
    first = Journalled(entries=[entry(1, "session.started", mode="voice")], subjects=[])
    await writer.do(NewSession(name, opening(f"eng-{name}"), first, member(f"m-{name}"), 5))


async def stored(database: Database, name: str) -> list[tuple[int, str]]:
    entries, _ = await database.read(lambda connection: load_journal(connection, name))
    return [(one.seq, one.type) for one in entries]


async def test_many_appends_share_a_transaction(database: Database, writer: Writer) -> None:
    names = [f"s{number}" for number in range(20)]
    await asyncio.gather(*(create(writer, name) for name in names))
    before = writer.transactions
    appends = [
        writer.append(Append(name, 1, [entry(seq)])) for seq in range(2, 12) for name in names
    ]
    await asyncio.gather(*appends)
    assert writer.transactions - before <= 2
    assert [seq for seq, _ in await stored(database, "s7")] == list(range(1, 12))


async def test_a_refused_append_harms_no_other_one(database: Database, writer: Writer) -> None:
    await create(writer, "s")
    await create(writer, "t")
    outcomes = await asyncio.gather(
        writer.append(Append("s", 1, [entry(2)])),
        writer.append(Append("s", 2, [entry(3)])),
        writer.append(Append("none", 1, [entry(1)])),
        writer.append(Append("s", 1, [entry(4)])),
        writer.append(Append("t", 1, [entry(2, "session.ended")])),
        writer.append(Append("s", 1, [entry(3)])),
        return_exceptions=True,
    )
    kinds = [type(one) for one in outcomes if isinstance(one, Exception)]
    assert kinds == [Conflict, NotFound, Unavailable, Internal]
    assert [seq for seq, _ in await stored(database, "s")] == [1, 2, 3]
    assert [seq for seq, _ in await stored(database, "t")] == [1]


async def test_a_grant_fences_what_the_old_epoch_still_sends(
    database: Database, writer: Writer
) -> None:
    await create(writer, "s")
    early = writer.append(Append("s", 1, [entry(2)]))
    grant = asyncio.ensure_future(writer.do(Grant("s", 1, member("m2"), 6)))
    await asyncio.sleep(0)
    late = writer.append(Append("s", 1, [entry(3)]))
    assert (await early).fresh == 1
    assert await grant == 2
    with pytest.raises(Conflict):
        await late
    with pytest.raises(NotFound):
        await writer.do(Grant("none", 1, member("m3"), 7))
    await writer.append(Append("s", 2, [entry(3, "test.second")]))
    assert await stored(database, "s") == [
        (1, "session.started"),
        (2, "test.noted"),
        (3, "test.second"),
    ]


async def test_one_member_holds_one_live_session(writer: Writer) -> None:
    await create(writer, "s")
    first = Journalled(entries=[], subjects=[])
    with pytest.raises(sa.exc.IntegrityError) as refused:
        await writer.do(NewSession("t", opening("eng-t"), first, member("m-s"), 5))
    # The error is logged: what was to be written, names and ids, is not in it.
    assert "eng-t" not in str(refused.value)


async def test_a_closed_writer_refuses(writer: Writer) -> None:
    await writer.close()
    with pytest.raises(Unavailable):
        await writer.append(Append("s", 1, [entry(1)]))


async def test_the_queue_of_writes_is_bounded(database: Database) -> None:
    writer = Writer(database, writes_limit=3)  # not started: nothing leaves the queue
    held = [writer.append(Append("s", 1, [entry(1)])) for _ in range(4)]
    assert [one.done() for one in held] == [False, False, False, True]
    await writer.close()
    outcomes = await asyncio.gather(*held, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in outcomes)


class Failing(Database):
    """A database whose writes fail with a state of SQL."""

    def __init__(self, url: str, sqlstate: str) -> None:
        super().__init__(url)
        self.sqlstate = sqlstate

    async def write(self, work: object) -> NoReturn:
        error = Exception("It says so.")
        error.sqlstate = self.sqlstate  # type: ignore[attr-defined]
        raise sa.exc.DBAPIError("SELECT", {}, error)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [("57P03", Unavailable), ("53300", Unavailable), ("08006", Unavailable), ("22001", Internal)],
)
async def test_a_database_that_is_starting_or_full_is_away_and_no_fault_of_what_was_written(
    tmp_path: Path, sqlstate: str, kind: type[SwitchboardError]
) -> None:
    database = Failing(f"sqlite:///{tmp_path}/none.db", sqlstate)
    writer = Writer(database)
    writer.start()
    with pytest.raises(kind):
        await writer.append(Append("s", 1, [entry(2)]))
    await writer.close()
    await database.close()
