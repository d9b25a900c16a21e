"""What the keeper asks of the ledger. Both are the actors' own, so no gateway sees this."""

from __future__ import annotations

from typing import ClassVar

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.tenure import JournalEntry


class Reconcile(ClusterMessage):
    """End the sessions that nobody owns, and finish what waited for the end of others."""

    method: ClassVar[str] = "session.reconcile"
    account_faults: int = 0
    """How much of the accounts, or of the secrets they name, the keeper could not take over."""


class Reconciled(ClusterMessage):
    """The sessions that were ended as lost."""

    ended: list[str]


class OutboxGrew(ClusterMessage):
    """Notice ledger to keeper, `outbox.grew`: there may be something to send."""

    accounts: list[str] | None = None
    """Whose endpoints to look after; `None`: anybody's, as a ledger of the release before says."""


class OutboxTake(ClusterMessage):
    """What is due for one webhook endpoint? Sessions in order of age, events in order."""

    method: ClassVar[str] = "outbox.take"
    endpoint_id: str
    account_id: str
    sessions: int = 20
    events: int = 50
    """Most events of one session."""


class Parcel(ClusterMessage):
    """Events of one session that an endpoint should get, in this order."""

    session_id: str
    engagement_key: str
    entries: list[JournalEntry]
    attempts: int
    """Tries of the first event that failed so far."""
    failing_for_ms: int
    """How long it has been failing, or those before it that are dead letters by now."""
    refused_for_ms: int = 0
    """How long of that each try was refused (`OutboxSettle.refused`)."""
    again: bool = False
    """A dead letter that is tried once more, beside the order."""


class OutboxParcels(ClusterMessage):
    """What is due now, and in how many milliseconds something else is (`None`: nothing yet)."""

    parcels: list[Parcel]
    next_due_in_ms: int | None = None


class OutboxSettle(ClusterMessage):
    """What became of a parcel."""

    method: ClassVar[str] = "outbox.settle"
    endpoint_id: str
    session_id: str
    delivered_seq: int
    """The last event the endpoint took, of this or an earlier parcel; 0 for none."""
    retry_in_ms: int | None = None
    """Set when the next event failed."""
    refused: bool = False
    """Whether it failed because the receiver finds this event wrong."""
    dead: str | None = None
    """Set when the next event is given up, and why; the one after it is due at once."""
    failed_seq: int | None = None
    """Which event failed. Another keeper may have had it taken meanwhile: nothing failed then."""
    again: bool = False
    endpoints: list[str]
    """All endpoints of the account: what all of them have is not looked at again."""


class OutboxSkip(ClusterMessage):
    """All endpoints there are: what others have not got is kept for a day, and then for nobody."""

    method: ClassVar[str] = "outbox.skip"
    accounts: list[str]
    """Those that have any; a ledger of the release before reads nothing else."""
    endpoints: dict[str, list[str]] | None = None
    """By account; `None`: as a keeper of the release before asks."""


class RecordExpire(ClusterMessage):
    """Delete records of sessions that ended before, oldest first."""

    method: ClassVar[str] = "record.expire"
    account_id: str
    before_ms: int
    limit: int = 50
    """Most in one transaction: each has some thirty rows, and what calls write waits for it."""


class Expired(ClusterMessage):
    """How many records were deleted."""

    count: int
