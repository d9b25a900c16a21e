"""Forgetting: one person on request, whole records when their time is over.

What is known of a person stands in subjects and in the ids of the session's row, nowhere else;
journal, outbox and dead letters hold opaque ids. The time line stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.journal import dump, insert_for
from actors.ledger.schema import (
    dead_letters,
    deliveries,
    devices,
    enrolments,
    erasures,
    guest_links,
    journal,
    notes,
    sessions,
    subjects,
    tenures,
)
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, Malformed
from broker.ids import normal_agent_id
from broker.messages import upkeep
from broker.words import Role, SessionPhase

_VISITOR_FIELDS = frozenset({"visitor_id", "participant_visitor_id", "visitor_name"})
_AGENT_FIELDS = frozenset({"agent_id", "chatting_agent_id"})
_OF_RECORDS = (
    notes,
    journal,
    subjects,
    tenures,
    guest_links,
    deliveries,
    dead_letters,
    erasures,
)


class Erasing:
    """Erases persons and deletes expired records, through the ledger's one writer."""

    def __init__(self, database: Database, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._writer = writer
        self._now_ms = now_ms

    async def erase(self, ask: upkeep.PersonErase) -> upkeep.Erasures:
        """Forget a person; harmless when forgotten already. An actor that still knows them may
        say so again: what is erased takes nothing in.

        Raises:
            Malformed: neither a participant nor an id of the person was given.
        """
        found = await self._find(ask)
        now_ms = self._now_ms()
        await self._writer.do(lambda connection: _erase(connection, found, now_ms))
        if ask.agent_id is not None:
            await self._forget_devices(ask.account_id, ask.agent_id)
        await self._database.scrub()
        return upkeep.Erasures(
            erased=[
                upkeep.Erasure(
                    session_id=session_id, participant_id=participant_id, erased_ms=now_ms
                )
                for session_id, participant_id in found
            ]
        )

    async def erased(self, ask: upkeep.ErasureList) -> upkeep.Erasures:
        """List who was erased, oldest first."""
        found = (
            sa.select(erasures)
            .where(erasures.c.erased_ms >= ask.since_ms)
            .order_by(erasures.c.erased_ms, erasures.c.session_id)
        )
        if ask.account_id is not None:
            found = found.join(sessions, sessions.c.session_id == erasures.c.session_id).where(
                sessions.c.account_id == ask.account_id
            )
        return upkeep.Erasures(
            erased=[
                upkeep.Erasure(
                    session_id=row.session_id,
                    participant_id=row.participant_id,
                    erased_ms=row.erased_ms,
                )
                for row in await self._database.rows(found)
            ]
        )

    async def expire(self, ask: keeping.RecordExpire) -> keeping.Expired:
        """Delete records whose time is over; note erasures of sessions that ended since."""
        now_ms = self._now_ms()

        def job(connection: sa.Connection) -> int:
            _note_ended(connection, now_ms)
            old = connection.scalars(
                sa.select(sessions.c.session_id)
                .where(sessions.c.account_id == ask.account_id)
                .where(sessions.c.phase == str(SessionPhase.ENDED))
                .where(sessions.c.ended_ms < ask.before_ms)
                .order_by(sessions.c.ended_ms)
                .limit(max(1, min(ask.limit, 5_000)))
            ).all()
            for table in (*_OF_RECORDS, sessions):
                connection.execute(sa.delete(table).where(table.c.session_id.in_(old)))
            return len(old)

        return keeping.Expired(count=await self._writer.do(job))

    async def _forget_devices(self, account_id: str, agent_id: str) -> None:
        """Forget by what an agent could log in: it names them."""
        names = {agent_id, normal_agent_id(agent_id) or agent_id}

        def job(connection: sa.Connection) -> None:
            for table in (enrolments, devices):
                mine = sa.and_(table.c.account_id == account_id, table.c.agent_id.in_(names))
                connection.execute(sa.delete(table).where(mine))

        await self._writer.do(job)

    async def _find(self, ask: upkeep.PersonErase) -> list[tuple[str, str]]:
        """Name the participants that are this person."""
        found = (
            sa.select(subjects)
            .join(sessions, sessions.c.session_id == subjects.c.session_id)
            .where(sessions.c.account_id == ask.account_id)
        )
        wanted = {ask.visitor_id: _VISITOR_FIELDS, ask.agent_id: _AGENT_FIELDS}
        wanted.pop(None, None)
        if ask.session_id is not None and ask.participant_id is not None:
            found = found.where(subjects.c.session_id == ask.session_id).where(
                subjects.c.participant_id == ask.participant_id
            )
        elif wanted:
            found = found.where(
                sa.or_(*(subjects.c.body.contains(str(name), autoescape=True) for name in wanted))
            )
        else:
            raise Malformed(ErrorCode.MALFORMED, "Say which person to erase.")
        return [
            (row.session_id, row.participant_id)
            for row in await self._database.rows(found)
            if ask.participant_id is not None or _is_person(json.loads(row.body), wanted)
        ]


def _is_person(body: dict[str, Any], wanted: dict[str | None, frozenset[str]]) -> bool:
    """Whether a subject is the person: by the token's id, or by what the SDK said of visitors.

    An engagement names both sides, so only the field of the subject's own side counts.
    """
    engagement = body.get("engagement") or {}
    for value, fields in wanted.items():
        own = body.get("visitor_id" if fields is _VISITOR_FIELDS else "agent_id")
        if own == value:
            return True
        if (
            own is None
            and fields is _VISITOR_FIELDS
            and body.get("role") == str(Role.CONSUMER)
            and any(engagement.get(name) == value for name in fields)
        ):
            return True
    return False


def _erase(connection: sa.Connection, found: list[tuple[str, str]], now_ms: int) -> None:
    for session_id, participant_id in found:
        here = sa.and_(
            subjects.c.session_id == session_id, subjects.c.participant_id == participant_id
        )
        body = connection.scalar(sa.select(subjects.c.body).where(here))
        if body is None:
            continue
        known = json.loads(body)
        connection.execute(sa.update(subjects).where(here).values(body="{}", erased_ms=now_ms))
        fields = (
            _AGENT_FIELDS
            if known.get("role") in (str(Role.AGENT), str(Role.SUPERVISOR))
            else _VISITOR_FIELDS
        )
        _blank(connection, session_id, fields)
        # Nobody but the brand knows whom its metadata name.
        connection.execute(
            sa.update(notes).where(notes.c.session_id == session_id).values(metadata="{}")
        )
        connection.execute(
            insert_for(connection, erasures)
            .values(
                session_id=session_id,
                participant_id=participant_id,
                erased_ms=now_ms,
                noted=False,
            )
            .on_conflict_do_nothing()
        )
    _note_ended(connection, now_ms)


def _blank(connection: sa.Connection, session_id: str, fields: frozenset[str]) -> None:
    """Take a person's ids out of the session's row, and of what the others' widgets said."""
    ids = connection.scalar(sa.select(sessions.c.ids).where(sessions.c.session_id == session_id))
    kept = {name: value for name, value in json.loads(ids or "{}").items() if name not in fields}
    connection.execute(
        sa.update(sessions).where(sessions.c.session_id == session_id).values(ids=dump(kept))
    )
    others = connection.execute(sa.select(subjects).where(subjects.c.session_id == session_id))
    for other in others.all():
        body = json.loads(other.body)
        engagement = body.get("engagement")
        if isinstance(engagement, dict) and fields & set(engagement):
            body["engagement"] = {
                name: value for name, value in engagement.items() if name not in fields
            }
            connection.execute(
                sa.update(subjects)
                .where(subjects.c.session_id == session_id)
                .where(subjects.c.participant_id == other.participant_id)
                .values(body=dump(body))
            )


def _note_ended(connection: sa.Connection, now_ms: int) -> None:
    """Write `subject.erased` into the journals that no actor writes any more."""
    rows = connection.execute(
        sa.select(erasures.c.session_id, erasures.c.participant_id, sessions.c.epoch)
        .join(sessions, sessions.c.session_id == erasures.c.session_id)
        .where(erasures.c.noted.is_(False))
        .where(sessions.c.phase == str(SessionPhase.ENDED))
    )
    for row in rows.all():
        this = sessions.c.session_id == row.session_id
        seq = (connection.scalar(sa.select(sessions.c.last_seq).where(this)) or 0) + 1
        connection.execute(
            sa.insert(journal).values(
                session_id=row.session_id,
                seq=seq,
                epoch=row.epoch,
                at_ms=now_ms,
                type="subject.erased",
                version=1,
                body=dump({"participant_id": row.participant_id}),
            )
        )
        connection.execute(sa.update(sessions).where(this).values(last_seq=seq))
        connection.execute(
            sa.update(erasures)
            .where(erasures.c.session_id == row.session_id)
            .where(erasures.c.participant_id == row.participant_id)
            .values(noted=True)
        )
