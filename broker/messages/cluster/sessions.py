"""Opening, finding and moving sessions, as gateways and the ledger speak of it."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage, Trace
from broker.messages.cluster.trunk import Location, Principal
from broker.messages.tolerance import Ids
from broker.words import Mode


class SessionOpen(ClusterMessage):
    """Give this engagement a session.

    Raises already_live (Conflict), no_capacity, withdrawn (Gone).
    """

    method: ClassVar[str] = "session.open"
    account_id: str
    engagement_key: str
    ids: Ids
    mode: Mode
    owner: Principal
    policy: dict[str, Any] = Field(default_factory=dict)
    """Values of `Policy` that the account sets; they go before the deployment's."""
    label: str = ""
    """Only a node with this label may have the session, now and after a takeover; empty: any."""
    connection_id: str | None = None
    """The gateway's connection that asks: it is told, by `session.queued`, while none stands by."""
    session_id: str | None = None
    """What to call it, where the request may be said again: then what it made is the answer."""
    trace: Trace = None


class SessionQueued(ClusterMessage):
    """Notice ledger to gateway, `session.queued`: the opening for a connection waits.

    Also for one that came in the place of another of its agent, which asked and is gone.
    """

    connection_id: str
    within_ms: int
    """It is answered by then; zero: it is over without a session, and nobody else is answered."""


class SessionWithdraw(ClusterMessage):
    """Take a start back that this connection has asked for: nobody rings, or rings any more.

    Raises unknown_session: none is being opened, nor live, that it asked for.
    """

    method: ClassVar[str] = "session.withdraw"
    account_id: str
    engagement_key: str
    connection_id: str


class SessionLocate(ClusterMessage):
    """Where is it? Raises unknown_session, session_ended (Gone)."""

    method: ClassVar[str] = "session.locate"
    session_id: str


class SessionTakeover(ClusterMessage):
    """The trunk of this tenure broke: make sure somebody holds the session. Idempotent."""

    method: ClassVar[str] = "session.takeover"
    session_id: str
    observed_epoch: int
    trace: Trace = None


class GuestLocate(ClusterMessage):
    """Which session does this guest code open? Consumes nothing."""

    method: ClassVar[str] = "guest.locate"
    code_hash: str


class GuestLocated(ClusterMessage):
    """The link's session."""

    location: Location
    guest_invitation_id: str


class SessionAttach(ClusterMessage):
    """Notice ledger to gateway, `session.attach`: dial this session for that waiting connection."""

    connection_id: str
    location: Location
    again: bool = False
    """Also when the session turned this connection away before."""


class SessionRelocated(ClusterMessage):
    """Notice ledger to gateway, `session.relocated`: another actor holds the session."""

    location: Location
