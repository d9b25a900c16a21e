"""What a gateway asks of a ledger to show it to whoever watches a deployment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.measures import Counts, Standings


class MeasureQuery(ClusterMessage):
    """What have the session actors and the ledger counted?"""

    method: ClassVar[str] = "measure.list"


class Measured(ClusterMessage):
    """What one ledger has counted since it began: of a node's session actors, or of itself."""

    ledger: int
    """Its shard."""
    node: str = ""
    """Empty: of the ledger itself."""
    counts: Counts = Field(default_factory=dict)
    standing: Standings = Field(default_factory=dict)


class MeasureList(ClusterMessage):
    """Every node that has or lately had session actors, and the ledger."""

    measured: list[Measured]

    @classmethod
    def of_all(cls, lists: Iterable[MeasureList]) -> MeasureList:
        """Put side by side what the ledgers of all shards say."""
        return cls(measured=[each for one in lists for each in one.measured])
