"""Nodes, their drains, and how well the pool is filled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage


class NodeDrain(ClusterMessage):
    """Give no new session to a node, and move those it has, until the deadline.

    Said again it sets a new deadline. Raises unknown_node (NotFound).
    """

    method: ClassVar[str] = "node.drain"
    node: str
    deadline_s: float = Field(ge=0, le=86_400)
    known: bool = False
    """The caller made sure that there is such a node, even if it has no session actor yet."""


class NodeUndrain(ClusterMessage):
    """Let a node have sessions again. What was moved stays where it is."""

    method: ClassVar[str] = "node.undrain"
    node: str


class NodeQuery(ClusterMessage):
    """How do the nodes stand?"""

    method: ClassVar[str] = "node.list"


class NodeState(ClusterMessage):
    """One node that has session actors, or is being drained."""

    node: str
    label: str = ""
    drain: Literal["no", "moving", "drained", "late"] = "no"
    """`late`: the deadline passed with something left; it stays where it is."""
    deadline_ms: int | None = None
    standbys: int = 0
    """Those that take a session of any account."""
    reusable: int = 0
    """Those that have held a session and take another of the same account."""
    live: int = 0
    """Sessions that are held there."""
    unheld: int = 0
    """Sessions that nobody holds and that were there last, or nobody knows where: their actor has
    no link, and may live."""
    members: int = 0
    """Session actors there, those on their way out included."""
    moved: int = 0
    """Sessions moved away by the present drain, since this ledger took its term."""

    def with_other(self, other: NodeState) -> NodeState:
        """Add what another shard's ledger knows of the same node."""
        counted = ("standbys", "reusable", "live", "unheld", "members", "moved")
        counts: dict[str, int] = {
            name: getattr(self, name) + getattr(other, name) for name in counted
        }
        deadlines = [each for each in (self.deadline_ms, other.deadline_ms) if each is not None]
        return self.model_copy(
            update={
                **counts,
                "label": self.label or other.label,
                "drain": min(self.drain, other.drain, key=_DRAINS.index),
                "deadline_ms": max(deadlines, default=None),
            }
        )


_DRAINS = ("moving", "late", "drained", "no")
"""The first that one shard says holds for the node."""


class NodeList(ClusterMessage):
    """Every node the ledger knows, by name."""

    nodes: list[NodeState]

    @classmethod
    def of_all(cls, lists: Iterable[NodeList]) -> NodeList:
        """Join what the ledgers of all shards know."""
        found: dict[str, NodeState] = {}
        for state in (state for each in lists for state in each.nodes):
            known = found.get(state.node)
            found[state.node] = state if known is None else known.with_other(state)
        return cls(nodes=[found[node] for node in sorted(found)])


class PoolVacate(ClusterMessage):
    """Notice pool to ledger, `pool.vacate`: which nodes are let run empty."""

    closed: list[str] = Field(default_factory=list)
    """Sessions are given to standbys there when there are no others."""
    retired: str = ""
    """The one of them whose standbys may go, if there is no session by now."""


class PoolLinked(ClusterMessage):
    """Notice ledger to gateway, `pool.linked`: whether a pool has a link.

    It is the first on a new link, and is said again when that changes. A ledger of the release
    before says nothing of it.
    """

    method: ClassVar[str] = "pool.linked"
    linked: bool


class PoolLevel(ClusterMessage):
    """Notice ledger to pool, `pool.level`: how many standbys wait, and how much they are wanted."""

    standbys: int
    """Those that take a session of any account."""
    live: int
    queued: int
    members: list[str] = Field(default_factory=list)
    nodes: list[NodeState] = Field(default_factory=list)
    queued_for: dict[str, int] = Field(default_factory=dict)
    """Who waits, by the label asked for; empty for those who take any."""
    taken: int = 0
    """Standbys of any account given away since this ledger took its term."""
    reused: list[str] = Field(default_factory=list)
    """Members of processes that have held a session before: nobody started these."""
    failed: int = 0
    """Sessions that this ledger has ended because no actor could go on with them."""
    passed: list[str] = Field(default_factory=list)
    """Members that came and went since the notice before: no notice has them among `members`."""
    moving: int = 0
    """Sessions on their way to another actor, which have a standby."""
    waited: int = 0
    """Openings that found no standby since this ledger took its term, also those refused."""
    processes: list[str] = Field(default_factory=list)
    """Those that members are in, of the members that say so (`SessionMember.process`)."""

    @classmethod
    def of_all(cls, levels: Sequence[PoolLevel]) -> PoolLevel:
        """Join what the ledgers of all shards say."""
        wanted: Counter[str] = Counter()
        for level in levels:
            wanted.update(level.queued_for)
        return cls(
            standbys=sum(level.standbys for level in levels),
            live=sum(level.live for level in levels),
            queued=sum(level.queued for level in levels),
            members=[name for level in levels for name in level.members],
            nodes=NodeList.of_all(NodeList(nodes=level.nodes) for level in levels).nodes,
            queued_for=dict(wanted),
            taken=sum(level.taken for level in levels),
            reused=[name for level in levels for name in level.reused],
            failed=sum(level.failed for level in levels),
            passed=[name for level in levels for name in level.passed],
            moving=sum(level.moving for level in levels),
            waited=sum(level.waited for level in levels),
            processes=[name for level in levels for name in level.processes],
        )
