"""A host that has vanished, the database's or a ledger's; and a query that takes too long."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.util import await_only

from actors.ledger.database import READERS, Database
from actors.ledger.schema import terms
from tests.patience import PATIENCE
from tests.proxy import FaultProxy

from .conftest import new_database

ALL = sa.select(terms.c.term)


async def test_reads_end_and_the_next_ones_are_answered_when_it_is_back(
    postgres_server: str,
) -> None:
    url = sa.make_url(await new_database(postgres_server))
    proxy = await FaultProxy(url.port or 0).start()
    there = url.set(port=proxy.port).render_as_string(hide_password=False)
    database = Database(there, read_s=3.0 * PATIENCE)
    try:
        await database.take_term(0)
        assert len(await database.rows(ALL)) == 1
        proxy.hold()
        # More than it has connections: those that wait for one end as well.
        reads = [asyncio.create_task(database.rows(ALL)) for _ in range(3 * READERS)]
        done, _ = await asyncio.wait(reads, timeout=20 * PATIENCE)
        assert len(done) == len(reads)
        for read in reads:
            with pytest.raises(TimeoutError):
                read.result()
        proxy.release()
        assert len(await database.rows(ALL)) == 1
    finally:
        proxy.release()
        await database.close()
        await proxy.close()


async def test_a_ledger_that_vanished_within_a_write_keeps_no_later_one_out(
    postgres_server: str,
) -> None:
    url = await new_database(postgres_server)
    vanished, following = Database(url, idle_s=0.5), Database(url)
    await vanished.take_term(0)
    writes, back = asyncio.Event(), asyncio.Event()

    def stop_within(connection: sa.Connection) -> None:
        writes.set()
        await_only(back.wait())
        connection.execute(sa.update(terms).values(taken_ms=1))

    write = asyncio.create_task(vanished.write(stop_within))
    try:
        await writes.wait()
        async with asyncio.timeout(10 * PATIENCE):
            assert await following.take_term(2) == 2
        back.set()
        with pytest.raises(sa.exc.DBAPIError):
            await write
        assert [row.taken_ms for row in await following.rows(sa.select(terms.c.taken_ms))] == [2]
    finally:
        back.set()
        await asyncio.gather(write, return_exceptions=True)
        await vanished.close()
        await following.close()


async def test_a_connection_is_opened_by_what_a_pooler_passes_on() -> None:
    """PgBouncer refuses whoever opens one by a parameter that it does not know."""
    said: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4), "big")
        start = await reader.readexactly(size - 4)
        if size == 8:  # Whether it speaks TLS.
            writer.write(b"N")
            size = int.from_bytes(await reader.readexactly(4), "big")
            start = await reader.readexactly(size - 4)
        said.append(start)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as pooler:
        port = pooler.sockets[0].getsockname()[1]
        database = Database(f"postgresql://switchboard@127.0.0.1:{port}/switchboard")
        with pytest.raises(sa.exc.DBAPIError):
            await database.take_term(0)
        await database.close()
    words = said[0][4:].split(b"\0")
    assert set(filter(None, words[::2])) == {b"user", b"database", b"client_encoding"}


async def test_a_query_that_nobody_waits_for_any_more_holds_up_no_other(tmp_path: Path) -> None:
    """SQLite asks in threads, as many as there are readers."""
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    over = threading.Event()
    endless = sa.text(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE goes_on())"
        " SELECT count(*) FROM number"
    )

    def ask(begun: threading.Event, connection: sa.Connection) -> None:
        def goes_on() -> bool:
            begun.set()
            return not over.is_set()

        driver: Any = connection.connection.driver_connection
        driver.create_function("goes_on", 0, goes_on)
        connection.execute(endless)

    try:
        await database.take_term(0)
        asked = []
        for _ in range(READERS):
            begun = threading.Event()
            asked.append(asyncio.create_task(database.read(partial(ask, begun))))
            await asyncio.to_thread(begun.wait)
        for each in asked:
            each.cancel()
        async with asyncio.timeout(5 * PATIENCE):
            assert len(await database.rows(ALL)) == 1
    finally:
        over.set()
        await database.close()


async def test_a_query_that_nobody_waits_for_is_not_asked_when_its_thread_comes_to_it(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    begins, may_go_on = threading.Event(), threading.Event()
    asked: list[sa.Connection] = []

    def hold(_: sa.Connection) -> None:
        begins.set()
        may_go_on.wait(20 * PATIENCE)

    await database.take_term(0)
    sa.event.listen(sa.Engine, "begin", hold)
    try:
        read = asyncio.create_task(database.read(asked.append))
        await asyncio.to_thread(begins.wait)
        read.cancel()
        await asyncio.wait({read})
    finally:
        may_go_on.set()
        await database.close()
        sa.event.remove(sa.Engine, "begin", hold)
    assert asked == []
