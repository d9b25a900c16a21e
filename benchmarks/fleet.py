"""What so many sessions at once need, from what one costs: pure arithmetic, for any number of them.

The simulation says what a single pool does in detail; here the question is which machines a hundred
sessions need, and which a million, and what is used up first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from actors.arrivals import standbys_for
from actors.pool import PoolPolicy

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Sessions at once."""
BUSY_AT_MOST = 0.7
"""Of whatever a machine or a ledger has."""
MEMBERS = PoolPolicy().members_limit


@dataclass(frozen=True, slots=True)
class Costs:
    """What one session actor takes of a machine."""

    start_processor_s: float
    """Also how long a start takes on a processor that has nothing else to do."""
    memory_mb: float
    request_ms: float
    """Processor time of one request and its reply, over all server processes."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is known or assumed beside the costs: traffic, machines, and one ledger."""

    minutes: float
    """Mean length of a session."""
    forwarding_processors: float
    """What forwarding keeps busy for one session."""
    gigabits: float
    """What one session sends, in Gbit/s."""
    started_share: float
    """Of the sessions that need a process of their own; the others get one that had another."""
    appends: float
    """Of one session to the journal, from its start to its end."""
    ledger_appends_s: float
    """What one ledger makes durable in a second."""
    processors: int
    """Of one machine, as the next two."""
    memory_gb: float
    network_gigabits: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """What so many sessions need."""

    sessions: int
    machines: int
    """One of them may be lost."""
    standbys: int
    reserve: int
    """Standbys for the sessions of one machine."""
    shards: int
    """Ledgers that share the sessions out among them."""
    pools: int
    """Deployments: a pool keeps no more than `MEMBERS` session actors."""
    first: str
    """What is used up first."""

    def line(self) -> str:
        """Say it in one line."""
        return (
            f"{self.machines} machines (first used up: {self.first}), {self.standbys} standbys, "
            f"reserve {self.reserve}, ledger shards {self.shards}, deployments {self.pools}"
        )


def fleet(sessions: int, costs: Costs, needs: Needs) -> Fleet:
    """Say what so many sessions at once need."""
    opened_s = sessions / (needs.minutes * 60)
    started_s = opened_s * needs.started_share
    standbys = standbys_for(opened_s, costs.start_processor_s, floor=1, ceiling=sessions)
    busy = sessions * needs.forwarding_processors + started_s * costs.start_processor_s
    machines, reserve, first = 1, 0, ""
    while True:
        held_gb = (sessions + standbys + reserve) * costs.memory_mb / 1024
        shares = {
            "processors": busy / needs.processors,
            "memory": held_gb / needs.memory_gb,
            "network": sessions * needs.gigabits / needs.network_gigabits,
        }
        first = max(shares, key=lambda name: shares[name])
        machines = math.ceil(shares[first] / BUSY_AT_MOST) + 1
        # The others hold the reserve of each; a smaller machine count needs a larger one.
        wanted = math.ceil(sessions / machines)
        if wanted <= reserve:
            break
        reserve = wanted
    return Fleet(
        sessions=sessions,
        machines=machines,
        standbys=standbys,
        reserve=reserve,
        shards=math.ceil(opened_s * needs.appends / (needs.ledger_appends_s * BUSY_AT_MOST)),
        pools=math.ceil((sessions + standbys + reserve) / MEMBERS),
        first=first,
    )


def fleets(costs: Costs, needs: Needs, sizes: Sequence[int] = SIZES) -> list[Fleet]:
    """Say it for each size."""
    return [fleet(size, costs, needs) for size in sizes]
