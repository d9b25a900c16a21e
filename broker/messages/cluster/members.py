"""Who has a link to the ledger."""

from __future__ import annotations

from typing import ClassVar, Literal

from broker.messages.cluster.base import ClusterMessage


class LinkHello(ClusterMessage):
    """First words on a ledger link, after the challenge."""

    kind: Literal["gateway", "session", "pool", "keeper"]
    member_id: str
    """Random, one per process life."""
    node: str
    protocol: int = 1
    shards: int = 1
    """Among how many ledgers it divides the accounts; a session actor has one ledger and says 1."""


class SessionMember(ClusterMessage):
    """Method `session.enlist`: a session actor says what it is when its link is new."""

    method: ClassVar[str] = "session.enlist"
    member_id: str
    node: str
    host: str
    port: int
    """Where the actor listens for trunks."""
    session_id: str | None = None
    """What it holds already, when the link is not the first."""
    epoch: int = 0
    label: str = ""
    """What kind of place its node is: openings may ask for one."""
    account_id: str | None = None
    """Takes sessions of this account only, because its process has held one of them."""
    process: str = ""
    """What whoever started its process calls it, and can end it by."""
    people_in_parts: bool = False
    """Reads the people of `session.past`; one of the release before overlooks them."""


class Enlisted(ClusterMessage):
    """The ledger took note. `keep` false: the session is not this actor's any more."""

    term: int
    keep: bool
