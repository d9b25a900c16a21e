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

    def ask(connection: sa.Connection) -> float | None:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("SELECT 1"))
            return None
        asked = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
        return float(connection.scalar(asked) or 0.0)

    database = Database(url)
    try:
        async with asyncio.timeout(LOOK_UP_S):
            return await database.read(ask)
    finally:
        await database.close()
