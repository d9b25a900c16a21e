"""Reading what is kept of sessions, and rating them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.messages.tolerance import AnyEndReason, AnyMode, Ids
from broker.words import SessionPhase


class RecordQuery(ClusterMessage):
    """Read the records of sessions, newest first."""

    method: ClassVar[str] = "record.list"
    account_id: str | None = None
    phase: SessionPhase | None = None
    engagement_key: str | None = None
    reference: str | None = None
    cursor: str | None = None
    limit: int = 50


class RecordGet(ClusterMessage):
    """Read one record, or a part of it. Raises unknown_session."""

    method: ClassVar[str] = "record.get"
    session_id: str
    account_id: str | None = None
    after: int = 0
    """Only events with a higher number."""
    after_person: str = ""
    """Only subjects of participants with an id behind this one."""
    limit: int | None = None
    """Events and subjects at most, of each, and what a frame holds; `None`: all, as the release
    before asks."""


class RecordRate(ClusterMessage):
    """A participant rates a session that has ended. Raises unknown_session, already_live."""

    method: ClassVar[str] = "record.rate"
    session_id: str
    participant_id: str
    stars: int
    comment: str | None = None
    account_id: str | None = None
    """Whose session it is: what its ledger writes no other may write meanwhile."""


class SessionRecord(ClusterMessage):
    """What is known of one session, joined with its subjects."""

    session_id: str
    account_id: str
    engagement_key: str
    ids: Ids
    epoch: int
    phase: SessionPhase
    mode: AnyMode
    created_ms: int
    ended_ms: int | None = None
    end_reason: AnyEndReason = None
    """`None` also for a reason that only a later release knows."""
    events: list[JournalEntry] = Field(default_factory=list)
    subjects: list[Subject] = Field(default_factory=list)
    reference: str | None = None
    """The brand's own name for it."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """What the brand keeps with it; gone when a person of the session is erased."""
    more: bool = False
    """Whether events follow that are not in this answer."""
    more_people: bool = False
    """Whether subjects do."""


class RecordPage(ClusterMessage):
    """One page of records (without their events), and where the next begins."""

    records: list[SessionRecord]
    cursor: str | None = None
