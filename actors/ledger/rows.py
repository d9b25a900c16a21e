"""Statements about sessions that are not appends: creating, granting, ending, loading."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from actors.ledger.journal import Append, Appended, append_all, entry_of
from actors.ledger.live import Live
from actors.ledger.schema import guest_links, journal, sessions, subjects, tenures
from broker.errors import Conflict, ErrorCode, Gone, NotFound, SwitchboardError, Unavailable
from broker.events import SessionEnded, event_body
from broker.messages.cluster.members import SessionMember
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.tenure import JournalEntry, Journalled, Subject
from broker.messages.cluster.trunk import Location
from broker.messages.tolerance import read_ids
from broker.shards import WHOLE, Shard
from broker.words import EndReason, SessionPhase

# What each session asks when it begins, built once (`actors.ledger.database`).
_TAKEN = (
    sa.select(sessions.c.session_id)
    .where(sessions.c.account_id == sa.bindparam("account"))
    .where(sessions.c.engagement_key == sa.bindparam("engagement"))
    .where(sessions.c.phase != str(SessionPhase.ENDED))
)
_LIVE_IDS = sa.select(sessions.c.session_id).where(sessions.c.phase != str(SessionPhase.ENDED))
_NEW_SESSION = sa.insert(sessions)
_NEW_TENURE = sa.insert(tenures)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be created, with its first events, in one transaction."""

    session_id: str
    open: SessionOpen
    first: Journalled
    member: SessionMember
    now_ms: int

    def __call__(self, connection: sa.Connection) -> SessionPhase:
        """Return how the session stands. Raises Conflict (`already_live`)."""
        ask = self.open
        taken = connection.scalar(
            _TAKEN, {"account": ask.account_id, "engagement": ask.engagement_key}
        )
        if taken is not None:
            raise already_live()
        connection.execute(
            _NEW_SESSION,
            {
                "session_id": self.session_id,
                "account_id": ask.account_id,
                "engagement_key": ask.engagement_key,
                "ids": ask.ids.model_dump_json(exclude_defaults=True),
                "mode": str(ask.mode),
                "phase": str(SessionPhase.NEW),
                "epoch": 1,
                "epoch_base": 0,
                "last_seq": 0,
                "created_ms": self.now_ms,
                "label": ask.label,
                "member_id": self.member.member_id,
                "host": self.member.host,
                "port": self.member.port,
            },
        )
        _note_tenure(connection, self.session_id, 1, self.member, self.now_ms)
        return _append(connection, self.session_id, 1, self.first).phase


@dataclass(frozen=True, slots=True)
class Grant:
    """The next epoch, noted for the standby that is about to try. Returns that epoch.

    The session has no holder until `Settle`: a standby that fails meanwhile never had it.
    """

    session_id: str
    epoch: int
    """The epoch that ends. A grant whose commit was not confirmed may have gone beyond it."""
    member: SessionMember
    now_ms: int
    polite: bool = False

    def __call__(self, connection: sa.Connection) -> int:
        """Raises NotFound, Gone when there is nothing to grant."""
        epoch = connection.scalar(
            sa.select(sessions.c.epoch)
            .where(sessions.c.session_id == self.session_id)
            .where(sessions.c.phase != str(SessionPhase.ENDED))
        )
        if epoch is None or epoch < self.epoch:
            raise why_not_live(connection, self.session_id)
        connection.execute(
            sa.update(sessions)
            .where(sessions.c.session_id == self.session_id)
            .values(
                epoch=epoch + 1,
                epoch_base=sessions.c.last_seq,
                member_id=None,
                host=None,
                port=None,
            )
        )
        _note_tenure(
            connection, self.session_id, epoch + 1, self.member, self.now_ms, polite=self.polite
        )
        return int(epoch) + 1


@dataclass(frozen=True, slots=True)
class Settle:
    """A standby replayed the journal: it is the holder, and its first events are durable."""

    session_id: str
    epoch: int
    first: Journalled
    member: SessionMember

    def __call__(self, connection: sa.Connection) -> SessionPhase:
        """Return how the session stands. Raises Conflict (`stale_epoch`), Gone."""
        connection.execute(
            sa.update(sessions)
            .where(sessions.c.session_id == self.session_id)
            .where(sessions.c.epoch == self.epoch)
            .values(member_id=self.member.member_id, host=self.member.host, port=self.member.port)
        )
        return _append(connection, self.session_id, self.epoch, self.first).phase


@dataclass(frozen=True, slots=True)
class Ending:
    """The ledger's own end of a session that no actor can end. Takes an epoch of its own."""

    session_id: str
    reason: EndReason
    now_ms: int

    def __call__(self, connection: sa.Connection) -> None:
        """Does nothing to a session that has ended."""
        row = connection.execute(
            sa.select(sessions.c.epoch, sessions.c.last_seq, sessions.c.phase).where(
                sessions.c.session_id == self.session_id
            )
        ).one_or_none()
        if row is None or row.phase == str(SessionPhase.ENDED):
            return
        connection.execute(
            sa.update(sessions)
            .where(sessions.c.session_id == self.session_id)
            .values(epoch=row.epoch + 1, epoch_base=row.last_seq, member_id=None)
        )
        event = SessionEnded(at_ms=self.now_ms, reason=self.reason)
        entry = JournalEntry(
            seq=row.last_seq + 1,
            at_ms=event.at_ms,
            type=event.type,
            version=event.version,
            body=event_body(event),
        )
        _append(
            connection, self.session_id, row.epoch + 1, Journalled(entries=[entry], subjects=[])
        )


def load_live(
    connection: sa.Connection, since_ms: int, known: frozenset[str], shard: Shard
) -> list[Live]:
    """Read the shard's sessions that have not ended and are not `known`, oldest first, homeless."""
    present = connection.execute(
        sa.select(sessions.c.session_id, sessions.c.account_id).where(
            sessions.c.phase != str(SessionPhase.ENDED)
        )
    )
    wanted = {
        row.session_id
        for row in present
        if row.session_id not in known and shard.has(row.account_id)
    }
    if not wanted:
        return []
    of_present = sa.and_(
        tenures.c.session_id == sessions.c.session_id, tenures.c.epoch == sessions.c.epoch
    )
    rows = connection.execute(
        sa.select(sessions, tenures.c.node)
        .select_from(sessions.outerjoin(tenures, of_present))
        .where(sessions.c.phase != str(SessionPhase.ENDED))
    ).all()
    found = {
        row.session_id: Live(
            session_id=row.session_id,
            account_id=row.account_id,
            engagement_key=row.engagement_key,
            ids=read_ids(json.loads(row.ids)),
            created_ms=row.created_ms,
            epoch=row.epoch,
            member_id=row.member_id,
            host=row.host,
            port=row.port,
            label=row.label,
            left_node=row.node or "",
        )
        # Sorted here: asked for their order, SQLite goes through all that ever were.
        for row in sorted(rows, key=lambda each: (each.created_ms, each.session_id))
        if row.session_id in wanted
    }
    grants = connection.execute(
        sa.select(tenures.c.session_id, tenures.c.granted_ms)
        # Not joined, for SQLite would begin with all that ever were.
        .where(tenures.c.session_id.in_(_LIVE_IDS))
        .where(tenures.c.epoch > 1)
        .where(sa.not_(tenures.c.polite))
        .where(tenures.c.granted_ms >= since_ms)
        .order_by(tenures.c.granted_ms)
    )
    for grant in grants:
        if grant.session_id in found:
            found[grant.session_id].granted_ms.append(grant.granted_ms)
    return list(found.values())


def load_journal(
    connection: sa.Connection,
    session_id: str,
    *,
    after: int = 0,
    after_person: str = "",
    limit: int | None = None,
) -> tuple[list[JournalEntry], list[Subject]]:
    """Read what a takeover replays, and what a record shows: all, or `limit` of each from there."""
    entries = connection.execute(
        sa.select(journal)
        .where(journal.c.session_id == session_id)
        .where(journal.c.seq > after)
        .order_by(journal.c.seq)
        .limit(limit)
    )
    events = [entry_of(row) for row in entries]
    people = connection.execute(
        sa.select(subjects)
        .where(subjects.c.session_id == session_id)
        .where(subjects.c.participant_id > after_person)
        .order_by(subjects.c.participant_id)
        .limit(limit)
    )
    return events, [
        Subject(participant_id=row.participant_id, body=json.loads(row.body)) for row in people
    ]


def find_session(session_id: str) -> sa.Select[Any]:
    """Select a session, live or ended."""
    return sa.select(sessions).where(sessions.c.session_id == session_id)


def find_link(code_hash: str) -> sa.Select[Any]:
    """Select a guest link with its session."""
    return (
        sa.select(guest_links, sessions)
        .join(sessions, sessions.c.session_id == guest_links.c.session_id)
        .where(guest_links.c.code_hash == code_hash)
    )


def last_known(session: Any) -> Location:
    """Say where a session of another ledger is, as far as its row does.

    Raises:
        Unavailable: `session_away`: it is between two homes.
    """
    if session.host is None or session.port is None:
        raise Unavailable(ErrorCode.SESSION_AWAY, "The session is being taken over.")
    return where_it_was(session)


def where_it_was(session: Any) -> Location:
    """Say where a session had its last holder; without host and port where its row names none."""
    return Location(
        session_id=session.session_id,
        epoch=session.epoch,
        host=session.host or "",
        port=session.port or 0,
        account_id=session.account_id,
        engagement_key=session.engagement_key,
    )


def why_not_live(
    connection: sa.Connection, session_id: str, shard: Shard = WHOLE
) -> SwitchboardError:
    """Say why a session could not be found among the live ones of a shard."""
    row = connection.execute(
        sa.select(sessions.c.phase, sessions.c.account_id).where(
            sessions.c.session_id == session_id
        )
    ).one_or_none()
    if row is None or not shard.has(row.account_id):
        return unknown_session()
    if row.phase == str(SessionPhase.ENDED):
        return session_ended()
    return Conflict(ErrorCode.STALE_EPOCH, "Another epoch holds the session.")


def already_live() -> Conflict:
    """Say that the engagement has a live session."""
    return Conflict(ErrorCode.ALREADY_LIVE, "This engagement has a live session.")


def unknown_session() -> NotFound:
    """Say that there never was such a session."""
    return NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")


def session_ended() -> Gone:
    """Say that the session is over."""
    return Gone(ErrorCode.SESSION_ENDED, "The session has ended.")


def _note_tenure(
    connection: sa.Connection,
    session_id: str,
    epoch: int,
    member: SessionMember,
    now_ms: int,
    *,
    polite: bool = False,
) -> None:
    connection.execute(
        _NEW_TENURE,
        {
            "session_id": session_id,
            "epoch": epoch,
            "member_id": member.member_id,
            "node": member.node,
            "granted_ms": now_ms,
            "polite": polite,
        },
    )


def _append(connection: sa.Connection, session_id: str, epoch: int, what: Journalled) -> Appended:
    """Append within a larger transaction; a refusal undoes the whole of it."""
    append = Append(session_id, epoch, what.entries, what.subjects)
    outcome = append_all(connection, [append])[0]
    if isinstance(outcome, SwitchboardError):
        raise outcome
    return outcome
