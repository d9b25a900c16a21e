"""Forgetting: one person on request, whole records when their time is over.

What is known of a person stands in subjects and in the ids of the session's row, nowhere else;
journal, outbox and dead letters hold opaque ids. The time line stays.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.cursor import read_cursor, write_cursor
from actors.ledger.database import Database
from actors.ledger.erasure_notes import ErasureNotes
from actors.ledger.journal import AGENT_FIELDS, VISITOR_FIELDS, dump, insert_for
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
from broker.ids import normal_agent_id, normal_id, same_agent
from broker.messages import upkeep
from broker.shards import Shard
from broker.words import Role, SessionPhase

_ONLY_NAMED = {"named-visitor": VISITOR_FIELDS, "named-agent": AGENT_FIELDS}
"""Who stands in place of a participant: somebody whom a host SDK named and who never came."""
_STAND_IN = {Role.CONSUMER: "named-visitor", Role.AGENT: "named-agent"}
LOOKED_AT = 20_000
"""Sessions in which one look searches: an account may have more than can be searched within the
time that a read may take."""
AT_ONCE = 50
"""Sessions in which one transaction erases somebody: an agent has thousands, and what calls write
meanwhile waits for one transaction, not for all of them."""
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

    def __init__(
        self,
        database: Database,
        writer: Writer,
        now_ms: Callable[[], int],
        shard: Shard,
        on_noted: Callable[[str, str], None] = lambda account_id, session_id: None,
    ) -> None:
        self._database = database
        self._writer = writer
        self._now_ms = now_ms
        self.notes = ErasureNotes(database, writer, now_ms, shard, on_noted)
        """What the journals say of it."""

    async def erase(self, ask: upkeep.PersonErase) -> upkeep.Erasures:
        """Forget a person; harmless when forgotten already. An actor that still knows them may
        say so again: what is erased takes nothing in.

        Raises:
            Malformed: neither a participant nor an id of the person was given.
        """
        found = await self._find(ask)
        agent_id = await self._agent_of(ask)
        now_ms = self._now_ms()
        if agent_id is not None:
            # First, because of a participant only the subject says whose devices they are: should
            # the rest fail, it is there still when this is asked again.
            await self._forget_devices(ask.account_id, agent_id)
        for some in _batches(found):
            await self._writer.do(partial(_erase, some, now_ms))
            await self.notes.write(some)
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
        """List who was erased, oldest first. Raises Malformed: the cursor is not ours."""
        place = (erasures.c.erased_ms, erasures.c.session_id, erasures.c.participant_id)
        found = sa.select(erasures).where(erasures.c.erased_ms >= ask.since_ms).order_by(*place)
        if ask.cursor is not None:
            erased_ms, ids = read_cursor(ask.cursor, 2)
            after = sa.tuple_(*map(sa.literal, (erased_ms, *ids)))
            found = found.where(sa.tuple_(*place) > after)
        if ask.limit is not None:
            found = found.limit(ask.limit + 1)
        if ask.account_id is not None:
            found = found.join(sessions, sessions.c.session_id == erasures.c.session_id).where(
                sessions.c.account_id == ask.account_id
            )
        rows = await self._database.rows(found)
        erased = [
            upkeep.Erasure(
                session_id=row.session_id,
                participant_id=row.participant_id,
                erased_ms=row.erased_ms,
            )
            for row in rows[: ask.limit]
        ]
        if len(erased) == len(rows):
            return upkeep.Erasures(erased=erased)
        last = erased[-1]
        cursor = write_cursor(last.erased_ms, last.session_id, last.participant_id)
        return upkeep.Erasures(erased=erased, cursor=cursor)

    async def expire(self, ask: keeping.RecordExpire) -> keeping.Expired:
        """Delete records whose time is over."""

        def job(connection: sa.Connection) -> int:
            old = connection.scalars(
                sa.select(sessions.c.session_id)
                .where(sessions.c.account_id == ask.account_id)
                .where(sessions.c.phase == str(SessionPhase.ENDED))
                .where(sessions.c.ended_ms < ask.before_ms)
                # None ends before it begins, and by their beginning an index finds them.
                .where(sessions.c.created_ms < ask.before_ms)
                .order_by(sessions.c.created_ms)
                .limit(max(1, min(ask.limit, 5_000)))
            ).all()
            for table in (*_OF_RECORDS, sessions):
                connection.execute(sa.delete(table).where(table.c.session_id.in_(old)))
            return len(old)

        return keeping.Expired(count=await self._writer.do(job))

    async def _agent_of(self, ask: upkeep.PersonErase) -> str | None:
        """Say by which id the person logs in: after a restore they are named by a session only."""
        if ask.agent_id is not None:
            return ask.agent_id
        this = (
            sa.select(subjects.c.body)
            .join(sessions, sessions.c.session_id == subjects.c.session_id)
            .where(sessions.c.account_id == ask.account_id)
            .where(subjects.c.session_id == ask.session_id)
            .where(subjects.c.participant_id == ask.participant_id)
        )
        bodies = [json.loads(row.body) for row in await self._database.rows(this)]
        return next((body.get("agent_id") for body in bodies), None)

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
        if ask.session_id is not None and ask.participant_id is not None:
            if ask.participant_id in _ONLY_NAMED:
                return await self._named_in(ask, ask.participant_id)
            found = found.where(subjects.c.session_id == ask.session_id).where(
                subjects.c.participant_id == ask.participant_id
            )
            return [
                (row.session_id, row.participant_id) for row in await self._database.rows(found)
            ]
        people: dict[tuple[str, str], None] = {}
        visitor, agent = normal_id(ask.visitor_id), normal_agent_id(ask.agent_id)
        if visitor is None and agent is None:
            raise Malformed(ErrorCode.MALFORMED, "Say which person to erase.")
        async for some in self._parts_of(ask.account_id):
            if visitor is not None:
                people |= await self._find_named(found.where(some), visitor, Role.CONSUMER)
            if agent is not None:
                people |= await self._find_named(found.where(some), agent, Role.AGENT)
        return list(people)

    async def _parts_of(self, account_id: str) -> AsyncIterator[sa.ColumnElement[bool]]:
        """Divide an account's sessions by when they began, into parts that one look searches."""
        mine = sa.and_(sessions.c.account_id == account_id)
        begun = sa.select(sessions.c.created_ms).order_by(sessions.c.created_ms).limit(1)
        while True:
            rows = await self._database.rows(begun.where(mine).offset(LOOKED_AT - 1))
            if not rows:
                yield mine
                return
            # To the end of the millisecond: who began in the same one is not divided.
            yield sa.and_(mine, sessions.c.created_ms <= rows[0].created_ms)
            mine = sa.and_(
                sessions.c.account_id == account_id, sessions.c.created_ms > rows[0].created_ms
            )

    async def _named_in(self, ask: upkeep.PersonErase, stand_in: str) -> list[tuple[str, str]]:
        """Say once more that somebody who was only named is to be forgotten in a session."""
        mine = sa.select(sessions.c.session_id).where(
            sessions.c.session_id == ask.session_id, sessions.c.account_id == ask.account_id
        )
        return [(row.session_id, stand_in) for row in await self._database.rows(mine)]

    async def _find_named(
        self, subjects_of_account: sa.Select[Any], name: str, role: Role
    ) -> dict[tuple[str, str], None]:
        """Name the participants that are this person, and the sessions that only name them."""
        text = json.dumps(name, ensure_ascii=False)[1:-1]
        holding = sa.or_(
            *(
                column.contains(text, autoescape=True)
                for column in (subjects.c.body, sessions.c.ids)
            )
        )
        rows = await self._database.rows(
            subjects_of_account.add_columns(sessions.c.ids).where(holding)
        )
        found: dict[tuple[str, str], None] = {}
        stand_in = _STAND_IN[role]
        fields = _ONLY_NAMED[stand_in]
        named: set[str] = set()
        for row in rows:
            body = json.loads(row.body)
            if _is_person(body, name, role):
                found[row.session_id, row.participant_id] = None
            said = (json.loads(row.ids), body.get("engagement") or {})
            if any(_same(each.get(field), name, role) for each in said for field in fields):
                named.add(row.session_id)
        # A session that names a visitor has one consumer: whoever proved to be nobody else.
        if role is Role.CONSUMER and named:
            everybody = subjects_of_account.where(subjects.c.session_id.in_(named))
            for row in await self._database.rows(everybody):
                body = json.loads(row.body)
                if body.get("role") == str(role) and body.get("visitor_id") is None:
                    found[row.session_id, row.participant_id] = None
        known = {session_id for session_id, _ in found}
        return found | {(each, stand_in): None for each in sorted(named - known)}


def _same(said: object, name: str, role: Role) -> bool:
    """Whether an id is this person's: an agent's is compared by its last part."""
    return said == name if role is Role.CONSUMER else same_agent(said, name)


def _is_person(body: dict[str, Any], name: str, role: Role) -> bool:
    """Whether a subject is the person: by the token's id, or by what the SDK said of visitors.

    An engagement names both sides, so only the field of the subject's own side counts.
    """
    if role is not Role.CONSUMER:
        return same_agent(body.get("agent_id"), name)
    own = body.get("visitor_id")
    if own is None and body.get("role") == str(Role.CONSUMER):
        engagement = body.get("engagement") or {}
        return any(engagement.get(field) == name for field in VISITOR_FIELDS)
    return bool(own == name)


def _batches(found: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Divide the work. Those of one session stay together: the first one erased takes away what
    named the others, so that nobody would find them again if the rest failed."""
    of_session: dict[str, list[tuple[str, str]]] = {}
    for each in found:
        of_session.setdefault(each[0], []).append(each)
    sessions_found = list(of_session.values())
    for first in range(0, len(sessions_found), AT_ONCE):
        yield [each for people in sessions_found[first : first + AT_ONCE] for each in people]


def _erase(found: list[tuple[str, str]], now_ms: int, connection: sa.Connection) -> None:
    for session_id, participant_id in found:
        fields = _ONLY_NAMED.get(participant_id)
        if fields is None:
            fields = _clear_subject(connection, session_id, participant_id, now_ms)
        if fields is None:
            continue
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


def _clear_subject(
    connection: sa.Connection, session_id: str, participant_id: str, now_ms: int
) -> frozenset[str] | None:
    """Empty a subject; returns the ids of its side, none of one that is empty by then, `None` when
    there is no such subject."""
    here = sa.and_(subjects.c.session_id == session_id, subjects.c.participant_id == participant_id)
    row = connection.execute(
        sa.select(subjects.c.body, subjects.c.erased_ms).where(here)
    ).one_or_none()
    if row is None:
        return None
    if row.erased_ms is not None:
        # Whose side it was nobody knows any more, and its ids went with it.
        return frozenset()
    connection.execute(sa.update(subjects).where(here).values(body="{}", erased_ms=now_ms))
    staff = (str(Role.AGENT), str(Role.SUPERVISOR))
    return AGENT_FIELDS if json.loads(row.body).get("role") in staff else VISITOR_FIELDS


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
