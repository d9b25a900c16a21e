"""A database whose host has vanished: it refuses nothing and answers nothing."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

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
    database = Database(there, read_s=0.5 * PATIENCE)
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
