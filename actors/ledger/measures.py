"""What is counted of a ledger's session actors and of itself, for whoever shows it.

The actors' reports end here because each actor has one link to its ledger, a standby too, and one
only, however many gateways have trunks to it. So nothing is counted twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from actors import memory
from actors.link import End
from broker.measures import Buckets, Count, Standing
from broker.messages.cluster.base import read
from broker.messages.cluster.exporting import Measured, MeasureList
from broker.messages.cluster.measures import ActorMeasured

KEPT_S = 3_600.0
"""The counts of a node are forgotten so long after its last session actor went."""


@dataclass(eq=False, slots=True)
class _Node:
    counts: Counter[Count] = field(default_factory=Counter)
    standing: Counter[Standing] = field(default_factory=Counter)
    """The sums of what its actors said last."""
    actors: dict[End, Mapping[Standing, int] | None] = field(default_factory=dict)
    """How each stood when it said so last; `None`: it is new, or of a release that does not."""
    left_s: float | None = None
    """Since when it has no session actor."""


class Measures:
    """Adds up what the actors of each node report, and counts what the ledger does.

    What an actor has told stays in its node's counts when it dies, and how it stood goes with its
    link. Nothing is written down: the next ledger begins anew.
    """

    def __init__(self, shard: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shard = shard
        self._clock = clock
        self._nodes: dict[str, _Node] = {}
        self._of: dict[End, _Node] = {}
        self._own: Counter[Count] = Counter()
        self._standing: dict[Standing, int] = {}

    def count(self, what: Count, times: int = 1) -> None:
        """Count something that the ledger did."""
        self._own[what] += times

    def stand(self, what: Standing, number: int) -> None:
        """Take note of how something stands, of which the ledger has been told."""
        self._standing[what] = number

    def took(self, what: Buckets, seconds: float) -> None:
        """Count something that took the ledger so long."""
        self._own[what.of(seconds)] += 1
        self._own[what.total] += round(seconds * 1e6)

    def come(self, end: End, name: str) -> None:
        """A session actor of this node has its link."""
        node = self._of[end] = self._nodes.setdefault(name, _Node())
        node.actors[end] = None
        node.left_s = None

    def gone(self, end: End) -> None:
        """A member's link is lost; harmless for one that is no session actor."""
        node = self._of.pop(end, None)
        if node is not None:
            node.standing.subtract(node.actors.pop(end) or {})
            if not node.actors:
                node.left_s = self._clock()

    def on_notice(self, end: End, method: str, payload: bytes) -> None:
        """Take a notice of a session actor. Raises ValueError: it cannot be read."""
        node = self._of.get(end)
        if method != "actor.measured" or node is None:
            return
        told = read(ActorMeasured, payload)
        node.counts.update(told.grown)
        node.standing.subtract(node.actors[end] or {})
        node.standing.update(told.standing)
        node.actors[end] = told.standing

    def all(self, counts: Mapping[Count, int], standing: Mapping[Standing, int]) -> MeasureList:
        """Say what is known of each node, and of the ledger, of which some is given."""
        self._forget()
        own = Measured(
            ledger=self._shard,
            counts={**self._own, **counts},
            standing={
                **self._standing,
                **standing,
                Standing.LEDGER_RESIDENT: memory.resident_bytes(),
            },
        )
        nodes = [
            Measured(ledger=self._shard, node=name, counts=node.counts, standing=_standing(node))
            for name, node in self._nodes.items()
        ]
        return MeasureList(measured=[own, *nodes])

    def _forget(self) -> None:
        before_s = self._clock() - KEPT_S
        for name, node in list(self._nodes.items()):
            if node.left_s is not None and node.left_s <= before_s:
                del self._nodes[name]


def _standing(node: _Node) -> Counter[Standing]:
    told = [each for each in node.actors.values() if each is not None]
    found = node.standing.copy()
    found[Standing.RESIDENT_MOST] = max(
        (each.get(Standing.RESIDENT, 0) for each in told), default=0
    )
    found[Standing.ACTORS_REPORTING] = len(told)
    found[Standing.ACTORS_SILENT] = len(node.actors) - len(told)
    return +found
