"""Databases that have a ledger's tables, and nothing in them.

A ledger that finds an empty one makes its tables step by step, as it would upgrade an older one: 25
ms of a processor on SQLite and 200 on PostgreSQL, in a hundred and more statements one after the
other. Tests of the steps begin with an empty one; all others get a copy of what the steps made.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from actors.ledger.migrations import migrate


def sqlite(path: Path) -> str:
    """Put one at this path unless there is a file already; returns its URL."""
    if not path.exists():
        path.write_bytes(_file())
    return f"sqlite:///{path}"


async def make_tables(url: str) -> None:
    """Make the tables in a database of PostgreSQL."""
    engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


@cache
def _file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        return path.read_bytes()
