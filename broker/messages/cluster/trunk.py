"""Trunks between gateways and session actors: who speaks, where to, hello and end."""

from __future__ import annotations

from broker.messages.cluster.base import ClusterMessage, Trace
from broker.messages.tolerance import Ids
from broker.words import Role, Surface, Way


class Principal(ClusterMessage):
    """Who a gateway has made sure is speaking, by token. Wins over anything an SDK says."""

    role: Role
    account_id: str
    agent_id: str | None = None
    """Agents and supervisors."""
    visitor_id: str | None = None
    claim_hash: str | None = None
    """Consumers: SHA-256 of the claim secret, hexadecimal."""
    guest_invitation_id: str | None = None
    """Guests: the link that was consumed."""
    participant_id: str | None = None
    """Set when the token is bound to a participant of the session (guest, resume)."""
    name: str = ""
    picture: str | None = None
    verified: bool = False
    """Whether more than ids that any page could claim proves who this is."""


class TrunkHello(ClusterMessage):
    """First words on a trunk: one widget connection, and who speaks on it."""

    session_id: str
    epoch: int
    connection_id: str
    gateway_id: str
    principal: Principal
    surface: Surface
    visible: bool
    last_seq: int | None = None
    """What a returning connection has seen; `None`: send a snapshot."""
    engagement: Ids | None = None
    way: Way | None = None
    """A further member of the staff comes in by this way; `None`: only whoever is known."""
    backend: bool = False
    """The account's backend, or the gateway, asks something: calls only, nobody joins. Only the
    principal's account counts then; it names no agent, so that an older actor finds nobody and
    refuses."""
    widget_id: str | None = None
    """The widget behind the connection: the id of its first one, also when it has come back."""
    former_widget_id: str | None = None
    """The widget of the page before, where this page was reloaded, or copied from another."""
    attempt: int = 0
    """Counts the connections of a page, as its hello does."""
    keeps_unsaved: bool = False
    """The gateway takes notice of what is not saved; one of another release would cut the trunk."""
    token_id: str | None = None
    """Of the token that the connection began with: a guest who comes again is known by it."""
    trace: Trace = None


class TrunkReady(ClusterMessage):
    """The actor took the connection. What a gateway needs to seal a resume token."""

    participant_id: str
    epoch: int
    traces: bool = False
    """The actor takes notice of a message's trace; one of another release would cut the trunk."""


class TrunkClose(ClusterMessage):
    """The actor ends a connection: the WebSocket closes with this code."""

    code: int
    reason: str
    last: str | None = None
    """The widget's last message of the session. It travels inside the close, so that the widget
    cannot answer it on a trunk that nobody reads any more."""
    to_waiting: bool = False
    """Keep the WebSocket: the connection goes back to waiting (or to an idle agent)."""


class Location(ClusterMessage):
    """Where a session lives now."""

    session_id: str
    epoch: int
    host: str
    port: int
    account_id: str
    engagement_key: str
