"""The connection to SQL, and the term that says which ledger may write.

SQLite runs with WAL and `synchronous=FULL`: a commit that returned survives a power cut. Write
transactions take SQLite's lock at once, so the term that was read still holds at the commit; on
PostgreSQL a share lock on the term's row does the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from actors.ledger.schema import migrate, terms

SHARD = 0
_SCRUB_TRIES = 5
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


class TermLost(Exception):
    """Another ledger has taken the database; this one must stop."""


class Database:
    """Two engines on one database: one connection that writes, a few that read.

    `close()` closes every connection.
    """

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        driver = _DRIVERS.get(parsed.get_backend_name())
        if driver is None:
            raise ValueError("The ledger's database must be sqlite or postgresql.")
        parsed = parsed.set(drivername=driver)
        self.is_sqlite = driver.startswith("sqlite")
        if self.is_sqlite and parsed.database in (None, "", ":memory:"):
            raise ValueError("The ledger's SQLite database must be a file.")
        self._writing = _engine(parsed, connections=1)
        self._reading = _engine(parsed, connections=4)
        if self.is_sqlite:
            _tune_sqlite(self._writing, "BEGIN IMMEDIATE")
            _tune_sqlite(self._reading, "BEGIN")
        self.term = 0

    async def take_term(self, now_ms: int) -> int:
        """Migrate the schema and become the one ledger that may write."""
        async with self._writing.begin() as connection:
            await connection.run_sync(migrate)
            one = terms.c.shard == SHARD
            updated = await connection.execute(
                sa.update(terms).where(one).values(term=terms.c.term + 1, taken_ms=now_ms)
            )
            if updated.rowcount == 0:
                await connection.execute(
                    sa.insert(terms).values(shard=SHARD, term=1, taken_ms=now_ms)
                )
            self.term = await connection.scalar(sa.select(terms.c.term).where(one)) or 0
        return self.term

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a write transaction. Raises TermLost when the term is another's."""
        async with self._writing.begin() as connection:
            term = await connection.scalar(
                sa.select(terms.c.term).where(terms.c.shard == SHARD).with_for_update(read=True)
            )
            if term != self.term:
                raise TermLost(f"Term {self.term} ended; {term} writes now.")
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a read transaction: one consistent view on SQLite, read committed elsewhere."""
        async with self._reading.connect() as connection:
            yield connection

    async def scrub(self) -> None:
        """Get what was erased out of the files as far as the database can.

        SQLite folds its write-ahead log into the main file and empties it. PostgreSQL frees the
        old rows for reuse; its own log and backups age out by their retention.
        """
        async with self._writing.connect() as connection:
            if self.is_sqlite:
                raw = await connection.get_raw_connection()
                driver: Any = raw.driver_connection
                for _ in range(_SCRUB_TRIES):
                    cursor = await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    busy = (await cursor.fetchone())[0]
                    await cursor.close()
                    if not busy:
                        return
            else:
                vacuum = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await vacuum.execute(sa.text("VACUUM sessions, subjects"))

    async def close(self) -> None:
        """Close all connections; harmless when closed."""
        await self._writing.dispose()
        await self._reading.dispose()


def _engine(url: sa.URL, *, connections: int) -> AsyncEngine:
    return create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=url.get_backend_name() == "postgresql",
        # Errors of statements are logged, and their parameters are people's names and ids.
        hide_parameters=True,
    )


def _tune_sqlite(engine: AsyncEngine, begin: str) -> None:
    @sa.event.listens_for(engine.sync_engine, "connect")
    def on_connect(dbapi_connection: Any, record: object) -> None:
        # The driver's own transaction handling off: it would begin too late, at the first write.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        # Deleted bytes are overwritten, so that erasing a person reaches the free pages.
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "secure_delete=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)
