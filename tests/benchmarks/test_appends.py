"""What a ledger is said to make durable is in its database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.ledger.database import Database
from actors.ledger.schema import journal
from benchmarks.appends import ACTORS, appended
from benchmarks.postgres import Server
from benchmarks.process import ChildFailed
from benchmarks.rounds import Bench
from tests.patience import PATIENCE


async def test_every_append_that_was_counted_is_durable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    async with Bench.open() as bench:
        found = await appended(bench, "SQLite", url, seconds=1.0 * PATIENCE, warm_up=0.1)
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


def test_what_postgresql_fails_of_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As anybody but root, who would run it as PostgreSQL's own user.
    monkeypatch.setattr("os.geteuid", lambda: 1_000)
    program = tmp_path / "initdb"
    program.write_text("#!/bin/sh\necho no room for it >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    with closing(Server(tmp_path, 1, place=str(tmp_path))) as server:
        with pytest.raises(ChildFailed, match="initdb: no room for it"):
            server.start()
