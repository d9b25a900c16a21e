"""Reading what is known of sessions: pages of records, and one record with its time line."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from actors.ledger.cursor import read_cursor, write_cursor
from actors.ledger.database import Database
from actors.ledger.journal import dump, insert_for
from actors.ledger.parts import split
from actors.ledger.rows import load_journal, unknown_session
from actors.ledger.schema import notes, sessions
from actors.ledger.writer import Writer
from broker.messages.cluster.base import Done
from broker.messages.cluster.records import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.messages.upkeep import SessionAnnotate
from broker.words import SessionPhase

MAX_PAGE = 200
MAX_PART = 1_000
"""Events, and subjects, in one answer: the ledger does nothing else while it writes it."""
_ANNOTATED = sa.select(sessions, notes.c.reference, notes.c.metadata).select_from(
    sessions.outerjoin(notes, notes.c.session_id == sessions.c.session_id)
)


class Records:
    """The reading side of the ledger's tables, and what brands keep beside their sessions.

    Reading never waits for the writer.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def annotate(self, ask: SessionAnnotate) -> Done:
        """Keep a brand's reference and metadata. Raises NotFound: also another account's."""
        mine = sa.and_(
            sessions.c.session_id == ask.session_id, sessions.c.account_id == ask.account_id
        )
        values = {"reference": ask.reference, "metadata": dump(ask.metadata)}

        def job(connection: sa.Connection) -> None:
            if connection.scalar(sa.select(sessions.c.session_id).where(mine)) is None:
                raise unknown_session()
            insert = insert_for(connection, notes).values(session_id=ask.session_id, **values)
            connection.execute(
                insert.on_conflict_do_update(index_elements=["session_id"], set_=values)
            )

        await self._writer.do(job)
        return Done()

    async def page(self, query: RecordQuery) -> RecordPage:
        """Return records without events, newest first. Raises Malformed: the cursor is not ours."""
        limit = max(1, min(query.limit, MAX_PAGE))
        found = _ANNOTATED.order_by(sessions.c.created_ms.desc(), sessions.c.session_id.desc())
        few = _few(query)
        if few is not None:
            found = found.where(sessions.c.session_id.in_(few))
        if query.account_id is not None:
            account: sa.ColumnElement[str] = sessions.c.account_id
            # SQLite, which does not know how many there are, would rather go through all of an
            # account's sessions; by what is no column's name it looks for nothing.
            found = found.where(
                (account if few is None else account.concat("")) == query.account_id
            )
        if query.phase is not None:
            found = found.where(sessions.c.phase == str(query.phase))
        if query.engagement_key is not None:
            found = found.where(sessions.c.engagement_key == query.engagement_key)
        if query.cursor is not None:
            created_ms, (session_id,) = read_cursor(query.cursor, 1)
            found = found.where(
                sa.or_(
                    sessions.c.created_ms < created_ms,
                    sa.and_(
                        sessions.c.created_ms == created_ms, sessions.c.session_id < session_id
                    ),
                )
            )
        rows = await self._database.rows(found.limit(limit + 1))
        records = [_record(row) for row in rows[:limit]]
        more = len(rows) > limit
        last = records[-1] if more else None
        cursor = None if last is None else write_cursor(last.created_ms, last.session_id)
        return RecordPage(records=records, cursor=cursor)

    async def get(self, query: RecordGet) -> SessionRecord:
        """Return one record with events and subjects, or the part of them that was asked for.

        Raises:
            NotFound: `unknown_session`, also when it is another account's.
        """
        found = _ANNOTATED.where(sessions.c.session_id == query.session_id)
        if query.account_id is not None:
            found = found.where(sessions.c.account_id == query.account_id)

        def job(connection: sa.Connection) -> SessionRecord:
            row = connection.execute(found).one_or_none()
            if row is None:
                raise unknown_session()
            if query.limit is None:
                events, people = load_journal(connection, query.session_id)
                return _record(row).model_copy(update={"events": events, "subjects": people})
            limit = max(1, min(query.limit, MAX_PART))
            events, people = load_journal(
                connection,
                query.session_id,
                after=query.after,
                after_person=query.after_person,
                limit=limit + 1,
            )
            some, some_people = split(events[:limit])[0], split(people[:limit])[0]
            return _record(row).model_copy(
                update={
                    "events": some,
                    "subjects": some_people,
                    "more": len(some) < len(events),
                    "more_people": len(some_people) < len(people),
                }
            )

        return await self._database.read(job)


def _few(query: RecordQuery) -> sa.Select[Any] | None:
    """Select the few sessions among which those asked for are, by an index; `None`: it may be any
    of the account's."""
    if query.reference is not None:
        return sa.select(notes.c.session_id).where(notes.c.reference == query.reference)
    if query.phase not in (None, SessionPhase.ENDED):
        return sa.select(sessions.c.session_id).where(sessions.c.phase != str(SessionPhase.ENDED))
    return None


def _record(row: Any) -> SessionRecord:
    return SessionRecord(
        session_id=row.session_id,
        account_id=row.account_id,
        engagement_key=row.engagement_key,
        ids=json.loads(row.ids),
        epoch=row.epoch,
        phase=row.phase,
        mode=row.mode,
        created_ms=row.created_ms,
        ended_ms=row.ended_ms,
        end_reason=row.end_reason,
        reference=row.reference,
        metadata=json.loads(row.metadata or "{}"),
    )
