"""Who waits to be rung, and who watches that."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.trunk import Location
from broker.words import Reach, Surface


class PresencePut(ClusterMessage):
    """A waiting connection may be rung under these keys. Said again when something changes."""

    method: ClassVar[str] = "presence.put"
    connection_id: str
    account_id: str
    keys: list[str]
    surface: Surface
    visible: bool
    claim_hash: str | None = None
    origin: str | None = None
    """Stands for the network address it came from, so that places are divided fairly; it tells
    nobody the address. `None`: a gateway of the release before."""


class PresenceDrop(ClusterMessage):
    """The waiting connection is gone."""

    method: ClassVar[str] = "presence.drop"
    connection_id: str


class PresenceDisplaced(ClusterMessage):
    """Notice ledger to gateway, `presence.displaced`: another connection has its place now."""

    method: ClassVar[str] = "presence.displaced"
    connection_id: str


class PresenceWatch(ClusterMessage):
    """An agent's connection wants to know whether the consumer could be rung."""

    method: ClassVar[str] = "presence.watch"
    connection_id: str
    account_id: str
    key: str
    agent_id: str | None = None
    """Under which colleagues see that their widget is open; `None`: they do not."""
    name: str = ""
    starter_id: str | None = None
    """Whose widget it is, if it may start a session; colleagues are not shown it. `None` also: a
    gateway of the release before."""


class PresenceUnwatch(ClusterMessage):
    """The agent's connection does not want to know any more."""

    method: ClassVar[str] = "presence.unwatch"
    connection_id: str


class PresenceState(ClusterMessage):
    """Reply to put and watch, and the body of notice `presence.changed`."""

    connection_id: str
    reach: Reach = Reach.ABSENT
    surfaces: list[Surface] = Field(default_factory=list)
    live: Location | None = None
    """The live session of this engagement, if there is one."""
