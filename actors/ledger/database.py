"""The connection to SQL, and the term that says which ledger may write.

SQLite runs with WAL and `synchronous=FULL`: a commit that returned survives a power cut. Write
transactions take SQLite's lock at once, so the term that was read still holds at the commit; on
PostgreSQL a share lock on the term's row does the same. Each shard has a row among the terms: their
number is how many ledgers may write.

What is done in a transaction is one plain function of its connection, which must touch nothing else
that changes. With SQLite it runs in a thread from begin to commit: an asynchronous driver would
hand each statement over and back, which takes three times as long. PostgreSQL's driver is
asynchronous by itself, and SQLAlchemy lets the function wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from actors.ledger.migrations import migrate
from actors.ledger.schema import (
    devices,
    enrolments,
    notes,
    owners,
    sessions,
    subjects,
    terms,
)
from broker.shards import WHOLE, Shard
from broker.words import SessionPhase

_log = logging.getLogger(__name__)
READERS = 4
READ_S = 10.0
"""What a read may take, the wait for a connection included."""
CONNECT_S = 10.0
"""What it may take to connect. A migration takes as long as it does."""
SCRUB_S = 20.0
"""What it may take to free what was erased."""
IDLE_S = 10.0
"""How long PostgreSQL keeps a transaction open for a ledger that says nothing. One whose host has
vanished within a write would keep the term locked, and every later ledger out, until TCP gives up:
two hours."""
_SCRUB_TRIES = 5
ERASED_IN = (sessions, subjects, notes, enrolments, devices)
"""The tables that name persons."""

T = TypeVar("T")
Work = Callable[[sa.Connection], T]


class TermLost(Exception):
    """Another ledger has taken the database; this one must stop."""


class Superseded(Exception):
    """The database is another deployment's now; this one's ledgers stay away from it."""

    def __str__(self) -> str:
        return (
            "superseded: another deployment has taken the database; end what is left of this one "
            "by `switchboard down`, and `up` again if it shall take the database back."
        )


class OtherShards(Exception):
    """Sessions are live that belong to ledgers of another number."""

    def __init__(self, live: int, shards: int) -> None:
        super().__init__(live, shards)
        self.live = live
        self.shards = shards
        """How many ledgers the database has."""

    def __str__(self) -> str:
        return (
            f"other_ledger_shards: {self.live} sessions are live in a database of "
            f"{self.shards} ledger shards; start with --ledger-shards {self.shards}, let them "
            "end, and change the number then."
        )


class Database:
    """Two engines on one database: one connection that writes, a few that read.

    `close()` closes every connection.
    """

    def __init__(
        self,
        url: str,
        shard: Shard = WHOLE,
        owner: str = "",
        *,
        read_s: float = READ_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """`owner` is the deployment whose ledger it is; empty: whoever has none."""
        parsed = sa.make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and shard.of > 1:
            raise ValueError("The ledger's database must be postgresql for more than one shard.")
        self._shard = shard
        self._owner = owner
        self._read_s = read_s
        self._scrubbing = asyncio.Lock()
        # Built once, like whatever else is asked often: SQLAlchemy takes longer to put a statement
        # together than SQLite to answer it.
        mine = terms.c.shard == shard.number
        self._term = sa.select(terms.c.term).where(mine).with_for_update(read=True)
        self._writing: _Engine
        self._reading: _Engine
        match parsed.get_backend_name():
            case "sqlite":
                if parsed.database in (None, "", ":memory:"):
                    raise ValueError("The ledger's SQLite database must be a file.")
                self._writing = _Sqlite(parsed, 1, "BEGIN IMMEDIATE")
                self._reading = _Sqlite(parsed, READERS, "BEGIN", ends_unawaited=True)
            case "postgresql":
                self._writing = _Postgresql(parsed, 1, idle_s)
                self._reading = _Postgresql(parsed, READERS, idle_s)
            case _:
                raise ValueError("The ledger's database must be sqlite or postgresql.")
        self.term = 0

    async def take_term(self, now_ms: int) -> int:
        """Migrate the schema and become the one ledger that may write for its shard.

        Raises:
            OtherShards: what is live belongs to ledgers of another number.
            Superseded: a deployment that was started later has the database.
            TimeoutError: the database's host did not answer.
        """

        def take(connection: sa.Connection) -> int:
            migrate(connection)
            _agree(connection, self._shard.of, now_ms)
            mine = terms.c.shard == self._shard.number
            connection.execute(
                sa.update(terms).where(mine).values(term=terms.c.term + 1, taken_ms=now_ms)
            )
            term = connection.scalar(sa.select(terms.c.term).where(mine)) or 0
            _own(connection, self._shard.number, self._owner, term)
            return term

        self.term = await self._writing.begin(take)
        return self.term

    async def write(self, work: Work[T]) -> T:
        """Work in a write transaction. Raises TermLost when the term is another's.

        Cancelled, it may be committed all the same; how long it may take is for who calls it.
        """

        def fenced(connection: sa.Connection) -> T:
            term = connection.scalar(self._term)
            if term != self.term:
                raise TermLost(f"Term {self.term} ended; {term} writes now.")
            return work(connection)

        return await self._writing.begin(fenced)

    async def read(self, work: Work[T]) -> T:
        """Read in a transaction: one consistent view on SQLite, read committed elsewhere.

        Raises:
            TimeoutError: the database did not answer; a host that vanished refuses nothing.
        """
        async with asyncio.timeout(self._read_s):
            return await self._reading.begin(work)

    async def rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Read what one query finds."""
        return await self.read(lambda connection: connection.execute(query).all())

    async def scrub(self) -> None:
        """Get what was erased out of the files as far as the database can.

        SQLite folds its write-ahead log into the main file and empties it, on the connection that
        writes. PostgreSQL frees the old rows for reuse, which takes as long as the tables are large
        and waits for what else tidies them: on another connection, so that no write waits for it.
        Its own log and backups age out by their retention.
        """
        engine = self._writing if self.is_sqlite else self._reading
        try:
            async with asyncio.timeout(SCRUB_S), self._scrubbing:
                await engine.scrub()
        except TimeoutError:
            _log.warning("What was erased is not freed yet; the database does it by itself.")

    async def close(self) -> None:
        """Close all connections; harmless when closed."""
        await self._writing.close()
        await self._reading.close()


def _agree(connection: sa.Connection, shards: int, now_ms: int) -> None:
    """See to it that the database has a term for each of so many ledgers, and no other.

    `migrate` has made whoever takes a term at the same time wait. To change the number ends every
    term: ledgers of the number before write no more, whether or not they still run.
    """
    known = connection.scalars(sa.select(terms.c.term)).all()
    if len(known) == shards:
        return
    # What they were writing is done by then, and they can begin nothing more.
    connection.execute(sa.delete(terms))
    live = connection.scalar(
        sa.select(sa.func.count())
        .select_from(sessions)
        .where(sessions.c.phase != str(SessionPhase.ENDED))
    )
    if known and live:
        raise OtherShards(live, len(known))
    # Above every term there was, so that none comes again.
    rows = [
        {"shard": number, "term": max(known, default=-1) + 1, "taken_ms": now_ms}
        for number in range(shards)
    ]
    connection.execute(sa.insert(terms), rows)


def _own(connection: sa.Connection, shard: int, owner: str, term: int) -> None:
    """Take note of who takes the term. Raises Superseded."""
    known = connection.scalars(
        sa.select(owners.c.owner).where(owners.c.shard == shard).order_by(owners.c.term.desc())
    ).all()
    newest = known[0] if known else ""
    if owner == newest:
        return
    if not owner or owner in known:
        raise Superseded
    connection.execute(sa.insert(owners).values(shard=shard, owner=owner, term=term))


class _Engine(Protocol):
    async def begin(self, work: Work[T]) -> T: ...
    async def scrub(self) -> None: ...
    async def close(self) -> None: ...


class _Unawaited(Exception):
    """Nobody waits for the answer any more."""


class _Query:
    """What a thread asks SQLite; whoever waited for it may end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._driver: Any = None
        self._ended = False

    @contextmanager
    def by(self, connection: sa.Connection) -> Iterator[None]:
        """Ask by this connection, which is others' again afterwards.

        Raises:
            _Unawaited: it was ended while its thread began.
        """
        with self._lock:
            if self._ended:
                raise _Unawaited
            self._driver = connection.connection.driver_connection
        try:
            yield
        finally:
            with self._lock:
                self._driver = None

    def end(self) -> None:
        """End the statement at work, or have none begin."""
        with self._lock:
            self._ended = True
            if self._driver is not None:
                self._driver.interrupt()


class _Sqlite:
    """SQLite by the standard library's driver, in as many threads as there are connections."""

    def __init__(
        self, url: sa.URL, connections: int, begin: str, *, ends_unawaited: bool = False
    ) -> None:
        """`ends_unawaited`: what nobody waits for any more ends, and frees its thread."""
        self._ends_unawaited = ends_unawaited
        self._engine = sa.create_engine(
            url.set(drivername="sqlite"),
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            # Errors of statements are logged, and their parameters are people's names and ids.
            hide_parameters=True,
        )
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="ledger-sql")
        _tune(self._engine, begin)

    async def begin(self, work: Work[T]) -> T:
        query = _Query()

        def run() -> T:
            with self._engine.begin() as connection, query.by(connection):
                return work(connection)

        try:
            return await self._in_thread(run)
        except asyncio.CancelledError:
            if self._ends_unawaited:
                query.end()
            raise

    async def scrub(self) -> None:
        def run() -> None:
            with self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                for _ in range(_SCRUB_TRIES):
                    busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                    if not busy:
                        return

        await self._in_thread(run)

    async def close(self) -> None:
        # A transaction at work comes to its end first: SQLite waits for its lock, then gives up.
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()

    async def _in_thread(self, run: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


class _Postgresql:
    """PostgreSQL by asyncpg."""

    def __init__(self, url: sa.URL, connections: int, idle_s: float) -> None:
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            poolclass=AsyncAdaptedQueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"timeout": CONNECT_S},
        )
        idle = f"SET idle_in_transaction_session_timeout = {round(idle_s * 1000)}"

        @sa.event.listens_for(self._engine.sync_engine, "connect")
        def on_connect(dbapi_connection: Any, record: object) -> None:
            # Not among the parameters that open a connection: PgBouncer refuses those it does not
            # know.
            dbapi_connection.run_async(lambda driver: driver.execute(idle, timeout=CONNECT_S))

    async def begin(self, work: Work[T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def scrub(self) -> None:
        async with self._engine.connect() as connection:
            vacuum = await connection.execution_options(isolation_level="AUTOCOMMIT")
            tables = ", ".join(each.name for each in ERASED_IN)
            await vacuum.execute(sa.text(f"VACUUM {tables}"))

    async def close(self) -> None:
        await self._engine.dispose()


def _tune(engine: sa.Engine, begin: str) -> None:
    @sa.event.listens_for(engine, "connect")
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

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)
