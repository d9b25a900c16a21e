"""An outbox beside sessions of one event each, which a webhook has not got."""

from __future__ import annotations

import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.grown import Grown
from actors.ledger.outbox import Outbox
from actors.ledger.schema import deliveries, journal, sessions
from actors.ledger.writer import Writer
from broker.shards import WHOLE
from broker.words import SessionPhase
from tests.ledger.fakes import ACCOUNT

NOW_MS = 100_000
ASK = keeping.OutboxTake(endpoint_id="hook", account_id=ACCOUNT)


class Waiting:
    """Sessions of an account that has one endpoint. `close()` ends its writer."""

    def __init__(self, database: Database) -> None:
        self.now_ms = NOW_MS
        self.next_due_in_ms: int | None = None
        self.grown = Grown(lambda: self.now_ms)
        self._database = database
        self._writer = Writer(database)
        self._writer.start()
        self._outbox = Outbox(database, self._writer, lambda: self.now_ms, WHOLE, self.grown)
        self._added = 0

    async def add(self, count: int, due_ms: int = 0) -> list[str]:
        """Write sessions, to be tried again at this time, 0: never tried; says which."""
        first, self._added = self._added, self._added + count
        names = [f"s{number:06}" for number in range(first, self._added)]

        def write(connection: sa.Connection) -> None:
            of_session = {
                "account_id": ACCOUNT,
                "engagement_key": "k",
                "ids": "{}",
                "mode": "video",
                "phase": str(SessionPhase.ENDED),
                "epoch": 1,
                "epoch_base": 0,
                "last_seq": 1,
                "created_ms": first,
            }
            of_event = {"seq": 1, "epoch": 1, "at_ms": 1, "type": "t", "version": 1, "body": "{}"}
            of_delivery = {
                "endpoint_id": "hook",
                "next_seq": 1,
                "attempts": 1,
                "failing_ms": 1,
                "due_ms": due_ms,
            }
            rows = {sessions: of_session, journal: of_event}
            if due_ms:
                rows[deliveries] = of_delivery
            for table, values in rows.items():
                connection.execute(
                    sa.insert(table), [{"session_id": name, **values} for name in names]
                )

        await self._database.write(write)
        return names

    async def look(self) -> list[str]:
        """Say of which sessions something is due."""
        found = await self._outbox.take(ASK)
        self.next_due_in_ms = found.next_due_in_ms
        return [parcel.session_id for parcel in found.parcels]

    async def skip(self) -> None:
        """Take out what nobody will get."""
        named = {ACCOUNT: [ASK.endpoint_id]}
        await self._outbox.skip(keeping.OutboxSkip(accounts=[ACCOUNT], endpoints=named))

    async def close(self) -> None:
        await self._writer.close()
