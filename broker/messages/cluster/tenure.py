"""What the ledger and the actor that holds a session say to each other."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage, Trace
from broker.messages.cluster.trunk import Principal
from broker.messages.tolerance import Ids
from broker.words import Mode


class JournalEntry(ClusterMessage):
    """One event as it is stored: its order within the session, wall time, and what happened."""

    seq: int
    at_ms: int
    type: str
    version: int
    body: dict[str, Any]


class Subject(ClusterMessage):
    """What is known about a participant beside the journal, so that it can be erased."""

    participant_id: str
    body: dict[str, Any]


class SessionAssign(ClusterMessage):
    """Ledger to standby: you are this session now. Nothing leaves before the ledger commits."""

    method: ClassVar[str] = "session.assign"
    session_id: str
    epoch: int
    account_id: str
    engagement_key: str
    ids: Ids
    mode: Mode
    owner: Principal
    policy: dict[str, Any]
    now_ms: int | None = None
    """The ledger's clock: what the session goes by where the standby's own is another."""
    opened_by: str | None = None
    """The gateway's connection whose widget asked for it, as in `session.open`."""


class SessionContinue(ClusterMessage):
    """Ledger to standby: take this session over from its journal."""

    method: ClassVar[str] = "session.continue"
    session_id: str
    epoch: int
    account_id: str
    engagement_key: str
    ids: Ids
    policy: dict[str, Any]
    entries: list[JournalEntry]
    subjects: list[Subject]
    now_ms: int | None = None
    """As in `session.assign`."""


class SessionPast(ClusterMessage):
    """Ledger to standby: the next part of a journal, or of its people, too long for one frame.

    The parts come in order and before `session.continue`, which holds the last one.
    """

    method: ClassVar[str] = "session.past"
    session_id: str
    epoch: int
    entries: list[JournalEntry]
    subjects: list[Subject] = Field(default_factory=list)
    """Those of whom one frame has no room beside the others; only for who has said to read them
    (`SessionMember.people_in_parts`)."""


class SessionLeaving(ClusterMessage):
    """Notice ledger to holder, `session.leaving`: its node is drained, it will be asked to yield.

    The holder says so to whoever takes part.
    """

    session_id: str
    epoch: int
    within_ms: int | None
    """Until the drain's deadline; `None`: the session stays after all."""


class SessionYield(ClusterMessage):
    """Ledger to holder: another actor is about to continue the session.

    The holder decides nothing from now on, makes durable what it decided, answers, and goes on
    forwarding media until it is stopped, or told to keep the session.
    """

    method: ClassVar[str] = "session.yield"
    session_id: str
    epoch: int


class SessionKeep(ClusterMessage):
    """Notice ledger to holder, `session.keep`: nobody else continued it; go on."""

    session_id: str
    epoch: int


class Journalled(ClusterMessage):
    """A standby's answer to assign or continue: the first events, for the ledger to commit."""

    entries: list[JournalEntry]
    subjects: list[Subject]


class SessionCommitted(ClusterMessage):
    """Notice ledger to actor, `session.committed`: the assignment is durable; serve."""

    session_id: str
    epoch: int


class JournalAppend(ClusterMessage):
    """Make these events durable. Idempotent by (session, epoch, seq); an old epoch is refused."""

    method: ClassVar[str] = "journal.append"
    session_id: str
    epoch: int
    entries: list[JournalEntry]
    subjects: list[Subject] = Field(default_factory=list)
    trace: Trace = None


class SessionUnsaved(ClusterMessage):
    """What a tenure let out before it was saved: only what makes exposure less.

    Actor to gateway, as notice `session.unsaved`: all of it, each time it changes; no entry: all is
    saved now. Gateway to an actor of a later epoch, as call: see to it that it is so. An entry is
    known by epoch and seq, so that it counts once, however many gateways kept it.
    """

    method: ClassVar[str] = "session.unsaved"
    session_id: str
    epoch: int
    entries: list[JournalEntry]


class SessionRing(ClusterMessage):
    """Actor to ledger: whoever waits with this claim was turned away before and is welcome now."""

    method: ClassVar[str] = "session.ring"
    session_id: str
    claim_hash: str
