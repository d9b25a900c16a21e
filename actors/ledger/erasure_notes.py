"""What journals say of who was erased: `subject.erased`, once no actor writes there any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

import sqlalchemy as sa

from actors.ledger.database import Database
from actors.ledger.journal import dump
from actors.ledger.schema import UNNOTED, erasures, journal, sessions
from actors.ledger.writer import Writer
from broker.errors import Unavailable
from broker.shards import Shard
from broker.words import SessionPhase

_log = logging.getLogger(__name__)
AT_ONCE = 50
"""Notes in one transaction: what calls write meanwhile waits for one, not for all of them."""
_UNNOTED = (
    sa.select(erasures.c.session_id, erasures.c.participant_id, sessions.c.account_id)
    .join(sessions, sessions.c.session_id == erasures.c.session_id)
    .where(UNNOTED)
    .where(sessions.c.phase == str(SessionPhase.ENDED))
)


class ErasureNotes:
    """Writes the notes of a shard's erasures, through the ledger's one writer."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        now_ms: Callable[[], int],
        shard: Shard,
        on_noted: Callable[[str, str], None],
    ) -> None:
        """`on_noted` is told the account and the session of each journal that has grown."""
        self._on_noted = on_noted
        self._database = database
        self._writer = writer
        self._now_ms = now_ms
        self._shard = shard
        self._unwritten: set[tuple[str, str]] = set()
        """Whose cannot be written, of those that are missing; that is said once."""

    async def write_missing(self) -> None:
        """Write those of sessions that have ended since.

        Raises:
            Unavailable: `ledger_away`.
        """
        missing = await self.missing()
        # What is not missing any more is none's to be kept in mind: its record has expired.
        self._unwritten.intersection_update(missing)
        await self.write(missing)

    async def missing(self) -> list[tuple[str, str]]:
        """Name by session and id those of whom no journal tells, though nobody writes there.

        Raises:
            Unavailable: `ledger_away`.
        """
        return [
            (row.session_id, row.participant_id)
            for row in await self._database.rows(_UNNOTED)
            if self._shard.has(row.account_id)
        ]

    async def write(self, erased: Sequence[tuple[str, str]]) -> None:
        """Write those of participants, by session and id, whose session has ended.

        One that cannot be written keeps no other from it, nor anybody from being erased; it counts
        as missing.

        Raises:
            Unavailable: `ledger_away`.
        """
        for first in range(0, len(erased), AT_ONCE):
            some = erased[first : first + AT_ONCE]
            # Each is undone alone; all of them share a transaction.
            jobs = [partial(_write, *each, self._now_ms()) for each in some]
            told = await asyncio.gather(*map(self._writer.do, jobs), return_exceptions=True)
            for whose, outcome in zip(some, told, strict=True):
                self._hear(whose, outcome)

    def _hear(self, whose: tuple[str, str], outcome: str | BaseException | None) -> None:
        """Tell of a note, or log once that it cannot be written.

        Raises what is no fault of the note's.
        """
        if not isinstance(outcome, BaseException):
            self._unwritten.discard(whose)
            if outcome is not None:
                self._on_noted(outcome, whose[0])
        elif isinstance(outcome, Unavailable) or not isinstance(outcome, Exception):
            raise outcome
        elif whose not in self._unwritten:
            self._unwritten.add(whose)
            facts = {"session_id": whose[0], "why": type(outcome).__name__}
            _log.error("An erasure could not be noted.", extra=facts)


def _write(
    session_id: str, participant_id: str, now_ms: int, connection: sa.Connection
) -> str | None:
    """Write one note; returns the account. `None`: it is there, or an actor still writes."""
    this = sessions.c.session_id == session_id
    ended = sa.select(sessions.c.account_id, sessions.c.epoch, sessions.c.last_seq).where(
        this, sessions.c.phase == str(SessionPhase.ENDED)
    )
    session = connection.execute(ended).one_or_none()
    if session is None:
        return None
    noted = connection.execute(
        sa.update(erasures)
        .where(erasures.c.session_id == session_id)
        .where(erasures.c.participant_id == participant_id)
        .where(erasures.c.noted.is_(False))
        .values(noted=True)
    )
    if noted.rowcount == 0:
        return None
    seq = session.last_seq + 1
    connection.execute(
        sa.insert(journal).values(
            session_id=session_id,
            seq=seq,
            epoch=session.epoch,
            at_ms=now_ms,
            type="subject.erased",
            version=1,
            body=dump({"participant_id": participant_id}),
        )
    )
    connection.execute(sa.update(sessions).where(this).values(last_seq=seq))
    return str(session.account_id)
