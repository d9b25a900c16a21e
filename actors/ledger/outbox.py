"""What webhook endpoints have still to get. The journal is the outbox; here stand positions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.endpoints import (
    AT_ONCE,
    forget_gone,
    give_up,
    has_over,
    note_endpoints,
    reached_by,
    wanted_endpoints,
)
from actors.ledger.grown import MOST, Grown
from actors.ledger.journal import entry_of, insert_for
from actors.ledger.schema import FAILING, UNDELIVERED, dead_letters, deliveries, journal, sessions
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, NotFound
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.shards import Shard

LETTERS_AT_ONCE = 2_000
"""Dead letters that one transaction makes due: of a webhook that was down for a day there may be a
million, and what calls write meanwhile waits for one transaction, not for all of them."""


class Outbox:
    """Positions of endpoints in journals, and the letters that were given up."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        now_ms: Callable[[], int],
        shard: Shard,
        grown: Grown,
    ) -> None:
        """`grown` is told of every session that has more to send."""
        self._grown = grown
        self._database = database
        self._writer = writer
        self._now_ms = now_ms
        self._shard = shard

    async def take(self, ask: keeping.OutboxTake) -> keeping.OutboxParcels:
        """Return what is due for an endpoint; it stays due until it is settled."""
        now_ms = self._now_ms()
        among = self._grown.begin(ask.account_id, ask.endpoint_id)
        new, failing = _new(ask, among), _failing_of(ask)

        def job(connection: sa.Connection) -> tuple[keeping.OutboxParcels, list[str]]:
            found = connection.execute(new).all()
            late = connection.execute(
                failing.where(deliveries.c.due_ms <= now_ms).limit(ask.sessions)
            ).all()
            # Of what is new and of what is tried again neither keeps the other from its turn.
            late = late[: max(ask.sessions - len(found), ask.sessions // 2)]
            rows = [*late, *found[: ask.sessions - len(late)]]
            parcels = [_parcel(connection, row, now_ms, ask.events) for row in rows]
            parcels += _again(connection, ask)
            later = connection.execute(
                failing.where(deliveries.c.due_ms > now_ms)
                .with_only_columns(deliveries.c.due_ms)
                .limit(1)
            ).scalar()
            due_in_ms = None if later is None else later - now_ms
            return (
                keeping.OutboxParcels(parcels=parcels, next_due_in_ms=due_in_ms),
                [row.session_id for row in found],
            )

        parcels, left = await self._database.read(job)
        self._grown.end(ask.account_id, ask.endpoint_id, left)
        return parcels

    async def settle(self, ask: keeping.OutboxSettle) -> Done:
        """Note what became of a parcel."""
        now_ms = self._now_ms()
        if ask.again:
            await self._writer.do(lambda connection: _settle_again(connection, ask, now_ms))
        else:
            account_id = await self._writer.do(lambda connection: _settle(connection, ask, now_ms))
            if account_id is not None:
                # There may be more behind it.
                self._grown.add(account_id, ask.session_id)
        return Done()

    async def skip(self, ask: keeping.OutboxSkip) -> Done:
        """Take out of the index what nobody will get: of the shard's accounts that have no
        endpoint, and for endpoints that were taken away too long ago."""
        now_ms = self._now_ms()
        named = ask.endpoints
        if named is not None:
            await self._writer.do(
                partial(note_endpoints, named=named, shard=self._shard, now_ms=now_ms)
            )
        for account_id in await self._waiting_accounts():
            if named is None and account_id in ask.accounts:
                continue  # A keeper of the release before does not say what they have.
            mine = (named or {}).get(account_id, ())
            look = partial(has_over, account_id=account_id, named=mine, now_ms=now_ms)
            some = partial(give_up, account_id=account_id, named=mine, now_ms=now_ms)
            if await self._database.read(look):
                while await self._writer.do(some) == AT_ONCE:
                    pass
        if named is not None:
            await self._writer.do(partial(forget_gone, shard=self._shard, now_ms=now_ms))
        return Done()

    async def _waiting_accounts(self) -> list[str]:
        """The shard's accounts that have something to send. Others' are left alone: two ledgers
        must not wait for rows of one another."""
        found = sa.select(sessions.c.account_id).where(UNDELIVERED).distinct()
        rows = await self._database.rows(found)
        return [row.account_id for row in rows if self._shard.has(row.account_id)]

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

        due = sa.select(sa.func.count()).where(*meant, dead_letters.c.again_ms.is_not(None))
        count = (await self._database.rows(due))[0][0]
        some = partial(_send_again, meant=meant, now_ms=now_ms)
        while True:
            more = await self._writer.do(some)
            count += more
            if more < LETTERS_AT_ONCE:
                break
        if count == 0:
            raise NotFound(ErrorCode.UNKNOWN_ENTRY, "There is no such dead letter.")
        return upkeep.Redelivered(count=count)


_NO_INDEX = sessions.c.account_id.concat("")
"""Whose a session is: by the column itself SQLite would rather read all that wait of an account."""
_NEXT_SEQ = sa.func.coalesce(deliveries.c.next_seq, 1)
_WAITING = sa.select(
    sessions.c.session_id,
    sessions.c.engagement_key,
    _NEXT_SEQ.label("next_seq"),
    sa.func.coalesce(deliveries.c.attempts, 0).label("attempts"),
    deliveries.c.failing_ms,
    deliveries.c.refused_ms,
).where(UNDELIVERED, sessions.c.last_seq >= _NEXT_SEQ)


def _new(ask: keeping.OutboxTake, among: Collection[str] | None) -> sa.Select[Any]:
    """Select sessions with events that an endpoint was not sent yet: of all, or among some."""
    mine = sa.and_(
        deliveries.c.session_id == sessions.c.session_id,
        deliveries.c.endpoint_id == ask.endpoint_id,
    )
    new = (
        _WAITING.select_from(sessions.outerjoin(deliveries, mine))
        .where(sa.func.coalesce(deliveries.c.due_ms, 0) == 0)
        .order_by(sessions.c.created_ms)
        # One more than are kept in mind, which says that there are more.
        .limit(MOST + 1)
    )
    if among is None:
        return new.where(sessions.c.account_id == ask.account_id)
    return new.where(sessions.c.session_id.in_(among), _NO_INDEX == ask.account_id)


def _failing_of(ask: keeping.OutboxTake) -> sa.Select[Any]:
    """Select sessions of which an endpoint would not take the next event, by when it is due."""
    return (
        _WAITING.select_from(
            deliveries.join(sessions, sessions.c.session_id == deliveries.c.session_id)
        )
        .where(deliveries.c.endpoint_id == ask.endpoint_id, FAILING)
        .where(_NO_INDEX == ask.account_id)
        .order_by(deliveries.c.due_ms)
    )


def _parcel(connection: sa.Connection, row: Any, now_ms: int, events: int) -> keeping.Parcel:
    entries = connection.execute(
        sa.select(journal)
        .where(journal.c.session_id == row.session_id)
        .where(journal.c.seq >= row.next_seq)
        .order_by(journal.c.seq)
        .limit(events)
    )
    failing = _failing(row)
    return keeping.Parcel(
        session_id=row.session_id,
        engagement_key=row.engagement_key,
        entries=[entry_of(entry) for entry in entries],
        attempts=failing.attempts,
        failing_for_ms=now_ms - (failing.failing_ms or now_ms),
        refused_for_ms=now_ms - (failing.refused_ms or now_ms),
    )


def _again(connection: sa.Connection, ask: keeping.OutboxTake) -> list[keeping.Parcel]:
    rows = connection.execute(
        sa.select(journal, sessions.c.engagement_key)
        .select_from(
            dead_letters.join(journal, _event_of_letter()).join(
                sessions, sessions.c.session_id == journal.c.session_id
            )
        )
        .where(dead_letters.c.endpoint_id == ask.endpoint_id)
        .where(sessions.c.account_id == ask.account_id)
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


def _settle(connection: sa.Connection, ask: keeping.OutboxSettle, now_ms: int) -> str | None:
    """Note what became of a parcel; returns whose it was, `None` where nothing is to be noted."""
    here = sa.and_(
        deliveries.c.session_id == ask.session_id, deliveries.c.endpoint_id == ask.endpoint_id
    )
    old = connection.execute(sa.select(deliveries).where(here)).one_or_none()
    next_seq = max(ask.delivered_seq + 1, 1 if old is None else old.next_seq)
    if ask.failed_seq not in (None, next_seq):
        return None
    session = connection.execute(
        sa.select(sessions.c.account_id, sessions.c.last_seq).where(
            sessions.c.session_id == ask.session_id
        )
    ).one_or_none()
    if session is None:
        return None  # Its record is gone since.
    before = _Failing() if old is None or old.next_seq != next_seq else _failing(old)
    failing = _Failing()
    due_ms = 0
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
        if session.last_seq >= next_seq:
            # What waited behind it is tried at once, and shares its end unless one is taken.
            failing = replace(before, attempts=0)
    elif ask.retry_in_ms is not None:
        failing = before.again(now_ms, refused=ask.refused)
        due_ms = now_ms + ask.retry_in_ms
    values = {"next_seq": next_seq, "due_ms": due_ms, **asdict(failing)}
    insert = insert_for(connection, deliveries).values(
        session_id=ask.session_id, endpoint_id=ask.endpoint_id, **values
    )
    connection.execute(
        insert.on_conflict_do_update(index_elements=["session_id", "endpoint_id"], set_=values)
    )
    wanted = wanted_endpoints(connection, session.account_id, ask.endpoints, now_ms)
    # An endpoint that was never served has nothing.
    reached = sa.func.coalesce(reached_by(wanted), 0)
    connection.execute(
        sa.update(sessions)
        .where(sessions.c.session_id == ask.session_id)
        .values(delivered_seq=reached)
    )
    return str(session.account_id)


@dataclass(frozen=True, slots=True)
class _Failing:
    """How the event that is next has failed so far."""

    attempts: int = 0
    failing_ms: int | None = None
    refused_ms: int | None = None

    def again(self, now_ms: int, *, refused: bool) -> _Failing:
        """It failed once more. Who is down for an hour has refused nothing: only refusals in a row
        count, from the first on."""
        return _Failing(
            self.attempts + 1,
            self.failing_ms or now_ms,
            (self.refused_ms or now_ms) if refused else None,
        )


def _failing(row: Any) -> _Failing:
    failing_ms, refused_ms = row.failing_ms, row.refused_ms
    if refused_ms is not None and (failing_ms is None or refused_ms < failing_ms):
        # A ledger of the release before went on to another event and left it.
        refused_ms = None
    return _Failing(row.attempts, failing_ms, refused_ms)


def _send_again(connection: sa.Connection, meant: list[sa.ColumnElement[bool]], now_ms: int) -> int:
    """Make some of the letters due that are meant; says how many, `LETTERS_AT_ONCE` at most."""
    keys = list(dead_letters.primary_key.columns)
    some = sa.select(*keys).where(*meant, dead_letters.c.again_ms.is_(None)).limit(LETTERS_AT_ONCE)
    found = connection.execute(
        sa.update(dead_letters).where(sa.tuple_(*keys).in_(some)).values(again_ms=now_ms)
    )
    return found.rowcount


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
