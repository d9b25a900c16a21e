"""Appending to the journal: idempotent, fenced by epoch, projected into the tables.

`Tail.admit` decides without I/O; `append_all` applies what many sessions bring, in one
transaction of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from actors.ledger.schema import erasures, guest_links, journal, sessions, subjects
from broker.errors import Conflict, ErrorCode, Gone, NotFound, SwitchboardError, Unavailable
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.words import Role, SessionPhase

WINDOW_SIDE = ("window_session_id", "conversation_id", "participant_visitor_id", "visitor_id")
"""Ids of the engagement that the agent's side need not know (`EngagementIds`)."""
VISITOR_FIELDS = frozenset({"visitor_id", "participant_visitor_id", "visitor_name"})
AGENT_FIELDS = frozenset({"agent_id", "chatting_agent_id"})
NAMING = VISITOR_FIELDS | AGENT_FIELDS
"""What of an engagement names a person."""


@dataclass(frozen=True, slots=True)
class Append:
    """What one actor wants durable."""

    session_id: str
    epoch: int
    entries: Sequence[JournalEntry]
    subjects: Sequence[Subject] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    """What came of it: how many entries were new, and how the session stands."""

    fresh: int
    phase: SessionPhase


@dataclass(slots=True)
class Tail:
    """The end of one session's journal, and the columns that follow from it."""

    epoch: int
    epoch_base: int
    last_seq: int
    phase: SessionPhase
    mode: str
    """Like `end_reason` a word as the actor wrote it, which may be of a later release."""
    ended_ms: int | None = None
    end_reason: str | None = None

    def admit(self, append: Append) -> list[JournalEntry]:
        """Return the entries that are new, having moved the tail behind them.

        Raises, with the tail unmoved:
            Conflict: `stale_epoch`, the epoch is not the present one.
            Unavailable: `ledger_away`, an entry before these is missing: send again from the
                first one that was not confirmed.
            Gone: `session_ended`, something new after the end.
        """
        if append.epoch != self.epoch:
            raise Conflict(ErrorCode.STALE_EPOCH, f"Epoch {self.epoch} holds the session.")
        fresh: list[JournalEntry] = []
        expected = self.last_seq + 1
        phase = self.phase
        for entry in append.entries:
            if entry.seq <= self.epoch_base:
                raise Conflict(ErrorCode.STALE_EPOCH, "An earlier epoch wrote this entry.")
            if entry.seq < expected:
                continue
            if entry.seq > expected:
                raise Unavailable(ErrorCode.LEDGER_AWAY, f"Entry {expected} is missing.")
            if phase is SessionPhase.ENDED:
                raise Gone(ErrorCode.SESSION_ENDED, "The session has ended.")
            if entry.type == "session.ended":
                phase = SessionPhase.ENDED
            fresh.append(entry)
            expected += 1
        for entry in fresh:
            self._fold(entry)
        return fresh

    def _fold(self, entry: JournalEntry) -> None:
        self.last_seq = entry.seq
        match entry.type:
            case "session.started":
                self.phase = SessionPhase.OPEN
                self.mode = _fit(entry.body.get("mode", self.mode), sessions.c.mode)
            case "session.ended":
                self.phase = SessionPhase.ENDED
                self.ended_ms = entry.at_ms
                self.end_reason = _fit(entry.body["reason"], sessions.c.end_reason)

    def columns(self) -> dict[str, Any]:
        """Return what the session's row says of it."""
        return {
            "last_seq": self.last_seq,
            "phase": str(self.phase),
            "mode": self.mode,
            "ended_ms": self.ended_ms,
            "end_reason": self.end_reason,
        }


def _fit(word: object, column: sa.Column[Any]) -> str:
    """Cut a word of a later release to its column; of this release all fit."""
    assert isinstance(column.type, sa.String)
    return str(word)[: column.type.length]


# What each append asks, built once (`actors.ledger.database`).
_TAILS = sa.select(
    sessions.c.session_id,
    sessions.c.epoch,
    sessions.c.epoch_base,
    sessions.c.last_seq,
    sessions.c.phase,
    sessions.c.mode,
    sessions.c.ended_ms,
    sessions.c.end_reason,
).where(sessions.c.session_id.in_(sa.bindparam("wanted", expanding=True)))
_ERASED = sa.select(erasures.c.session_id).where(
    erasures.c.session_id.in_(sa.bindparam("wanted", expanding=True))
)
_UPDATE = (
    sa.update(sessions)
    .where(sessions.c.session_id == sa.bindparam("wanted"))
    .values({name: sa.bindparam(name) for name in ("last_seq", "phase", "mode")})
    .values({name: sa.bindparam(name) for name in ("ended_ms", "end_reason")})
)
_ENTRIES = sa.insert(journal)
_IDS = (
    sa.select(sessions.c.ids)
    .join(subjects, subjects.c.session_id == sessions.c.session_id)
    .where(sessions.c.session_id == sa.bindparam("session"))
    .where(subjects.c.participant_id == sa.bindparam("participant"))
    .where(subjects.c.erased_ms.is_(None))
)
_FILL_IDS = (
    sa.update(sessions)
    .where(sessions.c.session_id == sa.bindparam("session"))
    .values(ids=sa.bindparam("ids"))
)


def _upsert(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    """An erased person stays erased, whatever an actor still remembers of them."""
    return insert.on_conflict_do_update(
        index_elements=["session_id", "participant_id"],
        set_={"body": insert.excluded.body},
        where=subjects.c.erased_ms.is_(None),
    )


_PUT_SUBJECTS = {
    "sqlite": _upsert(sqlite.insert(subjects)),
    "postgresql": _upsert(postgresql.insert(subjects)),
}


def append_all(
    connection: sa.Connection, appends: Sequence[Append]
) -> list[Appended | SwitchboardError]:
    """Apply many appends in order; each gets its own outcome, and a refused one changes nothing."""
    wanted = list({append.session_id for append in appends})
    rows = connection.execute(_TAILS, {"wanted": wanted})
    tails = {row.session_id: _tail(row) for row in rows}
    outcomes: list[Appended | SwitchboardError] = []
    entries: list[dict[str, Any]] = []
    links: list[tuple[str, JournalEntry]] = []
    people: dict[tuple[str, str], str] = {}
    told: dict[tuple[str, str], dict[str, str]] = {}
    moved: set[str] = set()
    for append in appends:
        tail = tails.get(append.session_id)
        if tail is None:
            outcomes.append(NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session."))
            continue
        try:
            fresh = tail.admit(append)
        except SwitchboardError as error:
            outcomes.append(error)
            continue
        outcomes.append(Appended(len(fresh), tail.phase))
        if fresh:
            moved.add(append.session_id)
        for entry in fresh:
            entries.append(_journal_row(append, entry))
            links.append((append.session_id, entry))
        for subject in append.subjects:
            key = append.session_id, subject.participant_id
            people[key] = dump(subject.body)
            if ids := _window_side(subject):
                told[key] = ids
    if entries:
        connection.execute(_ENTRIES, entries)
        connection.execute(
            _UPDATE, [{"wanted": name, **tails[name].columns()} for name in sorted(moved)]
        )
    if people:
        of_erased = set(connection.scalars(_ERASED, {"wanted": wanted}))
        for key, body in people.items():
            if key[0] in of_erased:
                people[key] = dump(_naming_nobody(json.loads(body)))
        _put_subjects(connection, people)
        for key, ids in told.items():
            if key[0] in of_erased:
                ids = _without(ids, NAMING)
            _fill_ids(connection, *key, ids)
    _follow_links(connection, links)
    return outcomes


def dump(body: dict[str, Any]) -> str:
    """Write a JSON body as the tables hold it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def entry_of(row: Any) -> JournalEntry:
    """Read one row of the journal."""
    return JournalEntry(
        seq=row.seq,
        at_ms=row.at_ms,
        type=row.type,
        version=row.version,
        body=json.loads(row.body),
    )


def _tail(row: Any) -> Tail:
    return Tail(
        epoch=row.epoch,
        epoch_base=row.epoch_base,
        last_seq=row.last_seq,
        phase=SessionPhase(row.phase),
        mode=row.mode,
        ended_ms=row.ended_ms,
        end_reason=row.end_reason,
    )


def _journal_row(append: Append, entry: JournalEntry) -> dict[str, Any]:
    return {
        "session_id": append.session_id,
        "seq": entry.seq,
        "epoch": append.epoch,
        "at_ms": entry.at_ms,
        "type": entry.type,
        "version": entry.version,
        "body": dump(entry.body),
    }


def insert_for(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT of the connection's dialect, which can say what to do on a conflict."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _put_subjects(connection: sa.Connection, people: dict[tuple[str, str], str]) -> None:
    connection.execute(
        _PUT_SUBJECTS[connection.dialect.name],
        [
            {"session_id": session_id, "participant_id": participant_id, "body": body}
            for (session_id, participant_id), body in people.items()
        ],
    )


def _naming_nobody(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out whom an engagement names: an actor still remembers what others' hosts said."""
    engagement = body.get("engagement")
    if not isinstance(engagement, dict):
        return body
    return {**body, "engagement": _without(engagement, NAMING)}


def _without(ids: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in ids.items() if name not in fields}


def _window_side(subject: Subject) -> dict[str, str]:
    """What the consumer's host SDK said of the engagement, to be found in the session's row."""
    engagement = subject.body.get("engagement")
    if subject.body.get("role") != str(Role.CONSUMER) or not isinstance(engagement, dict):
        return {}
    return {name: engagement[name] for name in WINDOW_SIDE if engagement.get(name)}


def _fill_ids(
    connection: sa.Connection, session_id: str, participant_id: str, told: dict[str, str]
) -> None:
    """Add to the session's ids what is not known yet; an erased person adds nothing."""
    row = connection.execute(
        _IDS, {"session": session_id, "participant": participant_id}
    ).one_or_none()
    if row is None:
        return
    known = json.loads(row.ids)
    filled = told | known
    if filled != known:
        connection.execute(_FILL_IDS, {"session": session_id, "ids": dump(filled)})


def _follow_links(connection: sa.Connection, entries: Iterable[tuple[str, JournalEntry]]) -> None:
    for session_id, entry in entries:
        link_id = entry.body.get("guest_invitation_id")
        if link_id is None:
            continue
        of_link = (guest_links.c.session_id == session_id) & (
            guest_links.c.guest_invitation_id == link_id
        )
        match entry.type:
            case "guest.invited" if "code_hash" in entry.body:
                connection.execute(
                    insert_for(connection, guest_links)
                    .values(
                        code_hash=entry.body["code_hash"],
                        session_id=session_id,
                        guest_invitation_id=link_id,
                        uses_left=entry.body.get("uses", 1),
                    )
                    .on_conflict_do_nothing()
                )
            case "guest.revoked" | "guest.expired":
                connection.execute(sa.update(guest_links).where(of_link).values(uses_left=0))
            case "participant.joined":
                connection.execute(
                    sa.update(guest_links)
                    .where(of_link)
                    .where(guest_links.c.uses_left > 0)
                    .values(uses_left=guest_links.c.uses_left - 1)
                )
