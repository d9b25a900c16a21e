"""Few are found by an index, however many lie beside them.

Who takes over a ledger waits for such looks, and who reads records shares the connections by which
sessions are found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.erasure_notes import ErasureNotes
from actors.ledger.grown import Grown
from actors.ledger.outbox import Outbox
from actors.ledger.records import Records
from actors.ledger.rows import load_live
from actors.ledger.schema import dead_letters, erasures, journal, notes, sessions, tenures
from actors.ledger.writer import Writer
from broker.messages import upkeep
from broker.messages.cluster.records import RecordQuery
from broker.shards import WHOLE
from broker.words import SessionPhase
from tests.ledger.fakes import ACCOUNT
from tests.ledger.steps import Steps

FEW = 5


def add(connection: sa.Connection, first: int, count: int, *, few: bool, live: bool) -> None:
    """Write sessions, each with a note, its tenures, an event and the dead letter of that."""
    names = [(f"s{number}", number) for number in range(first, first + count)]
    word = "few" if few else "many"
    rows = [
        {
            "session_id": name,
            "account_id": ACCOUNT,
            "engagement_key": name if live else word,
            "ids": f'{{"account_id":"{ACCOUNT}"}}',
            "mode": "video",
            "phase": str(SessionPhase.OPEN if live else SessionPhase.ENDED),
            "epoch": 2,
            "epoch_base": 0,
            "last_seq": 1,
            "delivered_seq": 1,
            "created_ms": created_ms,
            "member_id": name,
        }
        for name, created_ms in names
    ]
    connection.execute(sa.insert(sessions), rows)
    of_each: dict[sa.Table, dict[str, object]] = {
        notes: {"reference": word, "metadata": "{}"},
        tenures: {"epoch": 2, "member_id": "m", "node": "n", "granted_ms": 1},
        journal: {"seq": 1, "epoch": 1, "at_ms": 1, "type": "t", "version": 1, "body": "{}"},
        dead_letters: {
            "endpoint_id": "hook",
            "seq": 1,
            "dead_ms": 1,
            "why": "",
            "again_ms": 1 if few else None,
        },
        erasures: {"participant_id": "p", "erased_ms": 1, "noted": not few},
    }
    for table, values in of_each.items():
        connection.execute(sa.insert(table), [{"session_id": name, **values} for name, _ in names])


async def page(database: Database, **asked: object) -> int:
    query = RecordQuery.model_validate(asked)
    return len((await Records(database, Writer(database)).page(query)).records)


async def live_ones(database: Database) -> int:
    found = await database.read(lambda connection: load_live(connection, 0, frozenset(), WHOLE))
    assert all(live.left_node == "n" and live.granted_ms for live in found)
    assert [live.created_ms for live in found] == sorted(live.created_ms for live in found)
    return len(found)


async def letters(database: Database) -> int:
    ask = keeping.OutboxTake(endpoint_id="hook", account_id=ACCOUNT)
    outbox = Outbox(database, Writer(database), lambda: 9, WHOLE, Grown(lambda: 9))
    return len((await outbox.take(ask)).parcels)


async def missing_notes(database: Database) -> int:
    """Of sessions that have ended: the others' actors write theirs."""
    writer = Writer(database)
    return len(await ErasureNotes(database, writer, lambda: 9, WHOLE, print).missing())


async def newest_letters(database: Database) -> int:
    outbox = Outbox(database, Writer(database), lambda: 9, WHOLE, Grown(lambda: 9))
    return len((await outbox.dead(upkeep.DeadLetters(limit=FEW))).letters)


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (live_ones, FEW),
        (newest_letters, FEW),
        (letters, 2 * FEW),
        (missing_notes, FEW),
        (partial(page, phase="open"), FEW),
        (partial(page, phase="open", account_id=ACCOUNT), FEW),
        (partial(page, reference="few", account_id=ACCOUNT), 2 * FEW),
        (partial(page, engagement_key="few", account_id=ACCOUNT), FEW),
    ],
    ids=[
        "a new ledger's",
        "newest letters",
        "letters due again",
        "missing notes of erasures",
        "live",
        "an account's live",
        "reference",
        "key",
    ],
)
async def test_few_are_found_as_soon_among_many(
    tmp_path: Path, look: Callable[[Database], Awaitable[int]], found: int
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    steps, taken = Steps(), []
    try:
        await database.take_term(0)
        await database.write(partial(add, first=1_000, count=FEW, few=True, live=True))
        await database.write(partial(add, first=2_000, count=FEW, few=True, live=False))
        await database.write(partial(add, first=3_000, count=1, few=False, live=False))
        await look(database)
        await steps.of(database, reads=True)
        for first in (10_000, 20_000):
            steps.taken()
            assert await look(database) == found
            taken.append(steps.taken())
            await database.write(partial(add, first=first, count=1_000, few=False, live=False))
        assert 0 < taken[1] < 1.5 * taken[0]
    finally:
        await database.close()
