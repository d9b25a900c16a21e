"""What brands, operators and gateways ask about what is kept: dead letters, erasures.

Internal to the cluster, like `broker.messages.cluster`.
"""

from __future__ import annotations

from typing import ClassVar

from broker.messages.cluster.base import ClusterMessage


class DeadLetters(ClusterMessage):
    """List what was given up, newest first; of one account, or of all."""

    method: ClassVar[str] = "outbox.dead"
    account_id: str | None = None
    endpoint_id: str | None = None
    limit: int = 100


class DeadLetter(ClusterMessage):
    """One event that an endpoint would not take."""

    account_id: str
    endpoint_id: str
    session_id: str
    seq: int
    type: str
    dead_ms: int
    why: str
    again: bool = False
    """Whether it is due once more at this moment."""


class DeadLetterPage(ClusterMessage):
    """What was given up."""

    letters: list[DeadLetter]


class Redeliver(ClusterMessage):
    """Try dead letters of an endpoint once more: one event, one session's, or all.

    Raises unknown_entry (NotFound) when there is none.
    """

    method: ClassVar[str] = "outbox.redeliver"
    endpoint_id: str
    account_id: str | None = None
    session_id: str | None = None
    seq: int | None = None


class Redelivered(ClusterMessage):
    """How many letters are due once more."""

    count: int


class PersonErase(ClusterMessage):
    """Forget one person: by participant, or wherever an id of theirs stands in an account."""

    method: ClassVar[str] = "person.erase"
    account_id: str
    session_id: str | None = None
    participant_id: str | None = None
    visitor_id: str | None = None
    agent_id: str | None = None


class ErasureList(ClusterMessage):
    """Who was erased since? What to erase again after an older backup came back."""

    method: ClassVar[str] = "person.erasures"
    account_id: str | None = None
    since_ms: int = 0
    cursor: str | None = None
    """From the page before."""
    limit: int | None = None
    """`None`: all that fit into one answer."""


class Erasure(ClusterMessage):
    """One participant who was erased."""

    session_id: str
    participant_id: str
    erased_ms: int


class Erasures(ClusterMessage):
    """The participants that were erased."""

    erased: list[Erasure]
    cursor: str | None = None
    """Asks for the next page, where there is one."""


class SessionAnnotate(ClusterMessage):
    """Keep the brand's own reference and metadata with a session, in place of those before.

    Answered by `Done`. Raises unknown_session.
    """

    method: ClassVar[str] = "session.annotate"
    session_id: str
    account_id: str
    reference: str | None = None
    metadata: dict[str, str]
