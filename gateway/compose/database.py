"""The ledger's database, asked from outside the ledger."""

from __future__ import annotations

import asyncio

from gateway.compose.options import LOOK_UP_S


async def ask_database(url: str) -> float | None:
    """Ask the ledger's database for its time, in seconds since 1970; `None` for SQLite.

    Raises:
        SQLAlchemyError, OSError, ValueError: it does not answer, or is none.
    """
    import sqlalchemy as sa

    from actors.ledger.database import Database

    database = Database(url)
    try:
        async with asyncio.timeout(LOOK_UP_S), database.read() as connection:
            if database.is_sqlite:
                await connection.execute(sa.text("SELECT 1"))
                return None
            asked = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
            return float(await connection.scalar(asked))
    finally:
        await database.close()
