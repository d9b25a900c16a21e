"""A session as the server API shows it: no hash, no secret, no address of the cluster."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from broker.events import KEPT_BACK
from broker.messages.cluster.records import SessionRecord
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.messages.parts import EngagementIds
from broker.past import known_word
from broker.words import EndReason, Mode, Role, SessionPhase
from gateway.api.quality import Quality, qualities


class ParticipantView(BaseModel):
    """Who took part or was invited by name, as far as it is known and has not been erased."""

    participant_id: str
    role: Role | None = None
    name: str | None = None
    agent_id: str | None = None
    visitor_id: str | None = None
    engagement: dict[str, Any] | None = None
    """The SDK ids this person's widget told."""
    decline_reason: str | None = None
    """What the consumer said on declining last."""
    rating: dict[str, Any] | None = None
    """`stars` (1 to 5), `comment` and `at_ms`: what this person said of the session afterwards."""
    quality: Quality | None = None
    """How their connection was, once they are out."""


class EventView(BaseModel):
    """One thing that happened."""

    seq: int
    at_ms: int
    """Unix time, milliseconds."""
    type: str
    version: int
    body: dict[str, Any]


class SessionView(BaseModel):
    """One session in a list."""

    session_id: str
    account_id: str
    engagement_key: str
    ids: EngagementIds
    phase: SessionPhase
    mode: Mode
    created_ms: int
    ended_ms: int | None
    end_reason: EndReason | None
    reference: str | None
    """The brand's own name for it."""
    metadata: dict[str, str]
    """What the brand keeps with it."""


class SessionDetail(SessionView):
    """One session with its people and everything that happened."""

    participants: list[ParticipantView]
    events: list[EventView]
    """The first thousand, or as many as are a mebibyte."""
    cursor: str | None
    """Where there are more: `after` of `listSessionEvents`; null when all stand here."""


class SessionPage(BaseModel):
    """A page of sessions, newest first; `cursor` asks for the next."""

    sessions: list[SessionView]
    cursor: str | None


class EventPage(BaseModel):
    """A page of events in their order; `cursor` asks for the next."""

    events: list[EventView]
    cursor: str | None


def view_session(record: SessionRecord) -> SessionView:
    """Show a record in a list."""
    return SessionView(**_common(record))


def view_detail(first: SessionRecord, whole: SessionRecord) -> SessionDetail:
    """Show a record with its first events, and what the whole of it adds up to."""
    measured = qualities(whole)
    return SessionDetail(
        **_common(first),
        participants=[
            view_participant(each, measured.get(each.participant_id)) for each in whole.subjects
        ],
        events=[view_event(each) for each in first.events],
        cursor=str(first.events[-1].seq) if first.more else None,
    )


def view_event(entry: JournalEntry) -> EventView:
    """Show an event without the hashes of secrets."""
    body = {name: value for name, value in entry.body.items() if name not in KEPT_BACK}
    return EventView(
        seq=entry.seq, at_ms=entry.at_ms, type=entry.type, version=entry.version, body=body
    )


def view_participant(subject: Subject, quality: Quality | None) -> ParticipantView:
    """Show what is known of a person."""
    known = {name: subject.body.get(name) for name in ParticipantView.model_fields}
    if known["role"] is not None:
        # `None` also for a role that only a later release knows.
        known["role"] = known_word(Role, known["role"])
    known |= {"participant_id": subject.participant_id, "quality": quality}
    return ParticipantView.model_validate(known)


def _common(record: SessionRecord) -> dict[str, Any]:
    return {
        "session_id": record.session_id,
        "account_id": record.account_id,
        "engagement_key": record.engagement_key,
        "ids": record.ids,
        "phase": record.phase,
        "mode": record.mode,
        "created_ms": record.created_ms,
        "ended_ms": record.ended_ms,
        "end_reason": record.end_reason,
        "reference": record.reference,
        "metadata": record.metadata,
    }
