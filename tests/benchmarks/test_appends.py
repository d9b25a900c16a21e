"""What a ledger is said to make durable is in its database."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from actors.ledger.database import Database
from actors.ledger.schema import journal
from benchmarks.appends import ACTORS, appended
from benchmarks.rounds import Bench
from tests.patience import PATIENCE


async def test_every_append_that_was_counted_is_durable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    async with Bench.open() as bench:
        found = await appended(bench, "SQLite", url, seconds=0.3 * PATIENCE, warm_up=0.1)
    count = found.durable.count
    assert count > 2 * ACTORS
    assert found.per_s > 0
    assert found.processor_us > 0
    database = Database(url)
    try:
        kept = await database.rows(sa.select(sa.func.count()).select_from(journal))
        holes = await database.rows(
            sa.select(journal.c.session_id)
            .group_by(journal.c.session_id)
            .having(sa.func.count() != sa.func.max(journal.c.seq))
        )
    finally:
        await database.close()
    assert kept[0][0] >= count + ACTORS, "and how each session began"
    assert holes == []
