"""What people say of a session afterwards: beside the journal, in their own subject, erasable."""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa

from actors.ledger.journal import dump
from actors.ledger.rows import unknown_session
from actors.ledger.schema import sessions, subjects
from actors.ledger.writer import Writer
from broker.errors import Conflict, ErrorCode
from broker.messages.cluster.base import Done
from broker.messages.cluster.records import RecordRate
from broker.words import SessionPhase


class Ratings:
    """Takes ratings of ended sessions, through the ledger's one writer."""

    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._now_ms = now_ms

    async def rate(self, ask: RecordRate) -> Done:
        """Keep a participant's rating; a later one takes its place. Who is erased keeps none.

        Raises:
            NotFound: `unknown_session`, also for somebody who was not in it.
            Conflict: the session has not ended; its actor would write over it.
        """
        rating: dict[str, object] = {
            "stars": ask.stars,
            "comment": ask.comment,
            "at_ms": self._now_ms(),
        }
        await self._writer.do(lambda connection: _rate(connection, ask, rating))
        return Done()


def _rate(connection: sa.Connection, ask: RecordRate, rating: dict[str, object]) -> None:
    phase = connection.scalar(
        sa.select(sessions.c.phase).where(sessions.c.session_id == ask.session_id)
    )
    here = sa.and_(
        subjects.c.session_id == ask.session_id,
        subjects.c.participant_id == ask.participant_id,
    )
    subject = connection.execute(sa.select(subjects).where(here)).one_or_none()
    if phase is None or subject is None:
        raise unknown_session()
    if phase != str(SessionPhase.ENDED):
        raise Conflict(ErrorCode.ALREADY_LIVE, "The session has not ended.")
    if subject.erased_ms is None:
        body = json.loads(subject.body) | {"rating": rating}
        connection.execute(sa.update(subjects).where(here).values(body=dump(body)))
