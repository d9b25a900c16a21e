"""What gateways know together: revocations, and answers to requests with an idempotency key."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from actors.ledger.audience import Audience
from actors.ledger.database import Database
from actors.ledger.journal import insert_for
from actors.ledger.late import delete_late
from actors.ledger.schema import answers, revocations
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, TooFast
from broker.messages import sharing
from broker.messages.cluster.base import Done

CLAIM_MS = 60_000
"""A gateway that died over a request keeps its key no longer than this."""
KEPT_MS = 24 * 3_600_000


class Sharing:
    """Keeps both in the database; rows whose time is over go when another comes."""

    def __init__(
        self, database: Database, writer: Writer, audience: Audience, now_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._writer = writer
        self._audience = audience
        self._now_ms = now_ms

    async def revoke(self, ask: sharing.Revocation) -> Done:
        """Keep a revocation, and tell every gateway.

        Raises:
            TooFast: the account has as many as one may have.
        """
        now_s = self._now_ms() / 1000

        def job(connection: sa.Connection) -> None:
            delete_late(connection, revocations, revocations.c.until_s < now_s)
            others = sa.and_(
                revocations.c.account_id == ask.account_id,
                revocations.c.subject_hash != ask.subject_hash,
            )
            counted = sa.select(sa.func.count()).select_from(revocations).where(others)
            if connection.execute(counted).scalar_one() >= sharing.MOST_REVOCATIONS:
                raise TooFast(ErrorCode.RATE_LIMITED, "Too many revocations count at one time.")
            values = {"at_s": ask.at_s, "until_s": ask.until_s}
            insert = insert_for(connection, revocations).values(
                account_id=ask.account_id, subject_hash=ask.subject_hash, **values
            )
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["account_id", "subject_hash"],
                    set_=values,
                    where=revocations.c.at_s < ask.at_s,
                )
            )

        await self._writer.do(job)
        self._audience.revoked(ask)
        return Done()

    async def revoked(self, ask: sharing.RevocationList) -> sharing.Revocations:
        """List a page of the revocations that count still."""
        place = sa.tuple_(revocations.c.account_id, revocations.c.subject_hash)
        counting = (
            sa.select(revocations)
            .where(revocations.c.until_s >= self._now_ms() / 1000)
            .order_by(revocations.c.account_id, revocations.c.subject_hash)
        )
        if ask.after is not None:
            counting = counting.where(place > sa.tuple_(*map(sa.literal, ask.after)))
        if ask.limit is not None:
            counting = counting.limit(ask.limit)
        rows = await self._database.rows(counting)
        return sharing.Revocations(
            more=len(rows) == ask.limit,
            revocations=[
                sharing.Revocation(
                    account_id=row.account_id,
                    subject_hash=row.subject_hash,
                    at_s=row.at_s,
                    until_s=row.until_s,
                )
                for row in rows
            ],
        )

    async def claim(self, ask: sharing.AnswerClaim) -> sharing.AnswerClaimed:
        """Begin a request, or find what became of the first with its key."""
        now_ms = self._now_ms()

        def job(connection: sa.Connection) -> sharing.AnswerClaimed:
            # By their age and by this place alone: what reads all answers of a day, for each claim,
            # holds up whatever else is written.
            here = answers.c.place == ask.place
            delete_late(connection, answers, _before(now_ms - KEPT_MS))
            lapsed = sa.and_(answers.c.sealed.is_(None), _before(now_ms - CLAIM_MS))
            over = sa.or_(lapsed, _before(now_ms - KEPT_MS))
            connection.execute(sa.delete(answers).where(here, over))
            row = connection.execute(sa.select(answers).where(here)).one_or_none()
            if row is None:
                connection.execute(
                    sa.insert(answers).values(
                        place=ask.place, fingerprint=ask.fingerprint, begun_ms=now_ms
                    )
                )
                return sharing.AnswerClaimed(claim=sharing.Claim.FIRST, begun_ms=now_ms)
            if row.fingerprint != ask.fingerprint:
                return sharing.AnswerClaimed(claim=sharing.Claim.OTHER_BODY)
            if row.sealed is None:
                return sharing.AnswerClaimed(claim=sharing.Claim.RUNNING)
            return sharing.AnswerClaimed(claim=sharing.Claim.ANSWERED, sealed=row.sealed)

        return await self._writer.do(job)

    async def settle(self, ask: sharing.AnswerSettle) -> Done:
        """Keep an answer for a day, not to the claim of whoever came when its own had lapsed."""
        here = _claim(ask)

        def job(connection: sa.Connection) -> None:
            connection.execute(sa.update(answers).where(here).values(sealed=ask.sealed))

        await self._writer.do(job)
        return Done()

    async def release(self, ask: sharing.AnswerRelease) -> Done:
        """Forget a claim whose request failed, not the one of whoever came when it had lapsed."""
        open_here = sa.and_(_claim(ask), answers.c.sealed.is_(None))

        def job(connection: sa.Connection) -> None:
            connection.execute(sa.delete(answers).where(open_here))

        await self._writer.do(job)
        return Done()


def _claim(ask: sharing.AnswerSettle | sharing.AnswerRelease) -> sa.ColumnElement[bool]:
    """What a gateway says something of: its own claim, where it says which that is."""
    here = answers.c.place == ask.place
    return here if ask.begun_ms is None else sa.and_(here, answers.c.begun_ms == ask.begun_ms)


def _before(ms: int) -> sa.ColumnElement[bool]:
    return answers.c.begun_ms < ms
