"""How much SQLite reads: in steps of its machine, which are the same on every one of ours."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from actors.ledger.database import Database


class Steps:
    """Counts the steps of the connection that writes, or of the one that reads one by one."""

    def __init__(self) -> None:
        self._count = 0

    async def of(self, database: Database, *, reads: bool = False) -> None:
        """Begin to count; the database has taken its term."""

        def begin(connection: sa.Connection) -> None:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(self._step, 1)

        await (database.read(begin) if reads else database.write(begin))

    def _step(self) -> None:
        self._count += 1

    def taken(self) -> int:
        """Return how many there were since this was asked before."""
        count, self._count = self._count, 0
        return count
