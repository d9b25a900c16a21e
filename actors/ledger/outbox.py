"""What webhook endpoints have still to get. The journal is the outbox; here stand positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.journal import entry_of, insert_for
from actors.ledger.schema import dead_letters, deliveries, journal, sessions
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, NotFound
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.shards import Shard


class Outbox:
    """Positions of endpoints in journals, and the letters that were given up."""

    def __init__(
        self, database: Database, writer: Writer, now_ms: Callable[[], int], shard: Shard
    ) -> None:
        self._database = database
        self._writer = writer
        self._now_ms = now_ms
        self._shard = shard

    async def take(self, ask: keeping.OutboxTake) -> keeping.OutboxParcels:
        """Return what is due for an endpoint; it stays due until it is settled."""
        now_ms = self._now_ms()
        waiting = _waiting(ask.endpoint_id, ask.account_id)
        due = sa.func.coalesce(deliveries.c.due_ms, 0)

        def job(connection: sa.Connection) -> keeping.OutboxParcels:
            rows = connection.execute(
                waiting.where(due <= now_ms).order_by(sessions.c.created_ms).limit(ask.sessions)
            )
            parcels = [_parcel(connection, row, now_ms, ask.events) for row in rows.all()]
            parcels += _again(connection, ask.endpoint_id)
            later = connection.scalar(
                waiting.where(due > now_ms).with_only_columns(sa.func.min(due))
            )
            return keeping.OutboxParcels(
                parcels=parcels, next_due_in_ms=None if later is None else later - now_ms
            )

        return await self._database.read(job)

    async def settle(self, ask: keeping.OutboxSettle) -> Done:
        """Note what became of a parcel."""
        now_ms = self._now_ms()
        if ask.again:
            await self._writer.do(lambda connection: _settle_again(connection, ask, now_ms))
        else:
            await self._writer.do(lambda connection: _settle(connection, ask, now_ms))
        return Done()

    async def skip(self, ask: keeping.OutboxSkip) -> Done:
        """Take the shard's accounts without endpoints out of the index."""
        undelivered = sessions.c.last_seq > sessions.c.delivered_seq

        def job(connection: sa.Connection) -> None:
            idle = connection.scalars(
                sa.select(sessions.c.account_id)
                .where(undelivered)
                .where(sessions.c.account_id.not_in(ask.accounts))
                .distinct()
            )
            # Not in one statement: two ledgers must not wait for rows of one another.
            mine = [account_id for account_id in idle if self._shard.has(account_id)]
            connection.execute(
                sa.update(sessions)
                .where(undelivered)
                .where(sessions.c.account_id.in_(mine))
                .values(delivered_seq=sessions.c.last_seq)
            )

        await self._writer.do(job)
        return Done()

    async def dead(self, ask: upkeep.DeadLetters) -> upkeep.DeadLetterPage:
        """List dead letters, newest first."""
        found = (
            sa.select(dead_letters, sessions.c.account_id, journal.c.type)
            .select_from(
                dead_letters.join(
                    sessions, sessions.c.session_id == dead_letters.c.session_id
                ).join(journal, _event_of_letter())
            )
            .order_by(dead_letters.c.dead_ms.desc())
        )
        if ask.account_id is not None:
            found = found.where(sessions.c.account_id == ask.account_id)
        if ask.endpoint_id is not None:
            found = found.where(dead_letters.c.endpoint_id == ask.endpoint_id)
        letters = [
            upkeep.DeadLetter(
                account_id=row.account_id,
                endpoint_id=row.endpoint_id,
                session_id=row.session_id,
                seq=row.seq,
                type=row.type,
                dead_ms=row.dead_ms,
                why=row.why,
                again=row.again_ms is not None,
            )
            for row in await self._database.rows(found.limit(max(1, min(ask.limit, 1_000))))
        ]
        return upkeep.DeadLetterPage(letters=letters)

    async def redeliver(self, ask: upkeep.Redeliver) -> upkeep.Redelivered:
        """Make dead letters due once more. Raises NotFound when there is none."""
        now_ms = self._now_ms()
        meant = [dead_letters.c.endpoint_id == ask.endpoint_id]
        if ask.session_id is not None:
            meant.append(dead_letters.c.session_id == ask.session_id)
        if ask.seq is not None:
            meant.append(dead_letters.c.seq == ask.seq)
        if ask.account_id is not None:
            mine = sa.select(sessions.c.session_id).where(sessions.c.account_id == ask.account_id)
            meant.append(dead_letters.c.session_id.in_(mine))

        def job(connection: sa.Connection) -> int:
            found = connection.execute(
                sa.update(dead_letters).where(*meant).values(again_ms=now_ms)
            )
            if found.rowcount == 0:
                raise NotFound(ErrorCode.UNKNOWN_ENTRY, "There is no such dead letter.")
            return found.rowcount

        return upkeep.Redelivered(count=await self._writer.do(job))


def _waiting(endpoint_id: str, account_id: str) -> sa.Select[Any]:
    """Select the sessions that have events an endpoint has not got."""
    mine = sa.and_(
        deliveries.c.session_id == sessions.c.session_id,
        deliveries.c.endpoint_id == endpoint_id,
    )
    return (
        sa.select(
            sessions.c.session_id,
            sessions.c.engagement_key,
            sa.func.coalesce(deliveries.c.next_seq, 1).label("next_seq"),
            sa.func.coalesce(deliveries.c.attempts, 0).label("attempts"),
            deliveries.c.failing_ms,
        )
        .select_from(sessions.outerjoin(deliveries, mine))
        .where(sessions.c.account_id == account_id)
        .where(sessions.c.last_seq > sessions.c.delivered_seq)
        .where(sessions.c.last_seq >= sa.func.coalesce(deliveries.c.next_seq, 1))
    )


def _parcel(connection: sa.Connection, row: Any, now_ms: int, events: int) -> keeping.Parcel:
    entries = connection.execute(
        sa.select(journal)
        .where(journal.c.session_id == row.session_id)
        .where(journal.c.seq >= row.next_seq)
        .order_by(journal.c.seq)
        .limit(events)
    )
    return keeping.Parcel(
        session_id=row.session_id,
        engagement_key=row.engagement_key,
        entries=[entry_of(entry) for entry in entries],
        attempts=row.attempts,
        failing_for_ms=0 if row.failing_ms is None else now_ms - row.failing_ms,
    )


def _again(connection: sa.Connection, endpoint_id: str) -> list[keeping.Parcel]:
    rows = connection.execute(
        sa.select(journal, sessions.c.engagement_key)
        .select_from(
            dead_letters.join(journal, _event_of_letter()).join(
                sessions, sessions.c.session_id == journal.c.session_id
            )
        )
        .where(dead_letters.c.endpoint_id == endpoint_id)
        .where(dead_letters.c.again_ms.is_not(None))
        .order_by(dead_letters.c.again_ms)
        .limit(20)
    )
    return [
        keeping.Parcel(
            session_id=row.session_id,
            engagement_key=row.engagement_key,
            entries=[entry_of(row)],
            attempts=0,
            failing_for_ms=0,
            again=True,
        )
        for row in rows
    ]


def _settle(connection: sa.Connection, ask: keeping.OutboxSettle, now_ms: int) -> None:
    here = sa.and_(
        deliveries.c.session_id == ask.session_id, deliveries.c.endpoint_id == ask.endpoint_id
    )
    old = connection.execute(sa.select(deliveries).where(here)).one_or_none()
    next_seq = max(ask.delivered_seq + 1, 1 if old is None else old.next_seq)
    if ask.failed_seq not in (None, next_seq):
        return
    same = old is not None and old.next_seq == next_seq
    values: dict[str, Any] = {"attempts": 0, "failing_ms": None, "due_ms": 0}
    if ask.dead is not None:
        connection.execute(
            insert_for(connection, dead_letters)
            .values(
                endpoint_id=ask.endpoint_id,
                session_id=ask.session_id,
                seq=next_seq,
                dead_ms=now_ms,
                why=ask.dead[:200],
            )
            .on_conflict_do_nothing()
        )
        next_seq += 1
        last_seq = connection.scalar(
            sa.select(sessions.c.last_seq).where(sessions.c.session_id == ask.session_id)
        )
        if old is not None and last_seq is not None and last_seq >= next_seq:
            # What waited behind it is tried at once, and shares its end unless one is taken.
            values["failing_ms"] = old.failing_ms
    elif ask.retry_in_ms is not None:
        values = {
            "attempts": (old.attempts if same and old is not None else 0) + 1,
            "failing_ms": old.failing_ms if same and old is not None else None,
            "due_ms": now_ms + ask.retry_in_ms,
        }
        values["failing_ms"] = values["failing_ms"] or now_ms
    insert = insert_for(connection, deliveries).values(
        session_id=ask.session_id, endpoint_id=ask.endpoint_id, next_seq=next_seq, **values
    )
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["session_id", "endpoint_id"], set_={"next_seq": next_seq, **values}
        )
    )
    _advance(connection, ask.session_id, ask.endpoints)


def _advance(connection: sa.Connection, session_id: str, endpoints: Iterable[str]) -> None:
    """Note what every endpoint has; an endpoint that was never served has nothing."""
    wanted = set(endpoints)
    rows = connection.execute(
        sa.select(deliveries.c.endpoint_id, deliveries.c.next_seq).where(
            deliveries.c.session_id == session_id
        )
    )
    reached = {row.endpoint_id: row.next_seq - 1 for row in rows}
    connection.execute(
        sa.update(sessions)
        .where(sessions.c.session_id == session_id)
        .values(delivered_seq=min((reached.get(name, 0) for name in wanted), default=0))
    )


def _settle_again(connection: sa.Connection, ask: keeping.OutboxSettle, now_ms: int) -> None:
    """A dead letter that was taken is gone; one that failed again stays dead."""
    if ask.dead is None and ask.retry_in_ms is None:
        connection.execute(sa.delete(dead_letters).where(_is(ask, ask.delivered_seq)))
        return
    connection.execute(
        sa.update(dead_letters)
        .where(_is(ask, ask.delivered_seq))
        .values(again_ms=None, dead_ms=now_ms)
    )


def _event_of_letter() -> sa.ColumnElement[bool]:
    return sa.and_(
        journal.c.session_id == dead_letters.c.session_id, journal.c.seq == dead_letters.c.seq
    )


def _is(ask: keeping.OutboxSettle, seq: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        dead_letters.c.endpoint_id == ask.endpoint_id,
        dead_letters.c.session_id == ask.session_id,
        dead_letters.c.seq == seq,
    )
