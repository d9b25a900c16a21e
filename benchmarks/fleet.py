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
from gateway.commands.deployment import MOST_RESERVE

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Sessions at once."""
BUSY_AT_MOST = 0.7
"""Of whatever a machine or a ledger has."""
MEMBERS = PoolPolicy().members_limit
SOUND_PACKETS_S = 50
VIDEO_PACKETS_S = 130
"""Of one camera at about 1.2 Mbit/s."""
PACKET_BITS = 8_800
"""Of a packet, headers included, on average over sound and picture."""
SOUND_BITS = 1_300
"""Of one that carries sound: 20 ms of Opus are 60 to 120 bytes."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one session actor takes of a machine, and what one ledger can do."""

    start_processor_s: float
    """Also how long a start takes on a processor that has nothing else to do."""
    memory_mb: float
    request_ms: float
    """Processor time of one request and its reply, over all server processes."""
    packet_us: float
    """Processor time of one forwarded packet in a session with cameras, sound and picture alike."""
    sound_us: float
    """The same in a session without: nothing travels in bursts there."""
    ledger_appends_s: float
    """What one ledger makes durable in a second."""


@dataclass(frozen=True, slots=True)
class Media:
    """What one session forwards: everybody's microphone, and camera if any, to everybody else."""

    size: float
    """Mean number of people."""
    video_share: float = 1.0
    """Of the sessions: everybody's camera is on, in the others nobody's."""

    def packets(self, *, video: bool) -> float:
        """Return how many packets a second leave for the people of one session."""
        return self.size * (self.size - 1) * (SOUND_PACKETS_S + VIDEO_PACKETS_S * video)

    def processors(self, costs: Costs) -> float:
        """Return the processors that forwarding keeps busy, for a session on average."""
        return (
            self.video_share * self.packets(video=True) * costs.packet_us
            + (1 - self.video_share) * self.packets(video=False) * costs.sound_us
        ) / 1e6

    def gigabits(self) -> float:
        """Return what a session sends on average, in Gbit/s."""
        return (
            self.video_share * self.packets(video=True) * PACKET_BITS
            + (1 - self.video_share) * self.packets(video=False) * SOUND_BITS
        ) / 1e9


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is known or assumed beside the costs: traffic and machines."""

    minutes: float
    """Mean length of a session."""
    media: Media
    requests_s: float
    """Requests of one session's people, a second."""
    started_share: float
    """Of the sessions that need a process of their own; the others get one that had another."""
    appends: float
    """Of one session to the journal, from its start to its end."""
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
    """Standbys for the sessions of one machine, in each deployment: for `up --reserve`."""
    shards: int
    """Ledgers that the journal's appends keep busy, at least one in each deployment."""
    deployments: int
    """A pool keeps at most `MEMBERS` session actors, over all shards of its deployment."""
    first: str
    """What is used up first."""

    def line(self) -> str:
        """Say it in one line."""
        return (
            f"{self.machines} machines (first used up: {self.first}), {self.standbys} standbys, "
            f"--reserve {self.reserve}, ledger shards {self.shards} "
            f"in {self.deployments} deployments"
        )


def fleet(sessions: int, costs: Costs, assumed: Assumptions) -> Fleet:
    """Say what so many sessions at once need."""
    opened_s = sessions / (assumed.minutes * 60)
    started_s = opened_s * assumed.started_share
    standbys = standbys_for(opened_s, costs.start_processor_s, floor=1, ceiling=sessions)
    of_session = assumed.media.processors(costs) + assumed.requests_s * costs.request_ms / 1e3
    shares = {
        "processors": (sessions * of_session + started_s * costs.start_processor_s)
        / assumed.processors,
        "memory": (sessions + standbys) * costs.memory_mb / 1024 / assumed.memory_gb,
        "network": sessions * assumed.media.gigabits() / assumed.network_gigabits,
    }
    # The others of a deployment hold the reserve for each of its machines. More machines, which its
    # memory may take, make it smaller, so the reserve of the first count is enough.
    of_machine = math.ceil(sessions / (math.ceil(max(shares.values()) / BUSY_AT_MOST) + 1))
    reserve = min(of_machine, MOST_RESERVE)
    deployments = math.ceil((sessions + standbys) / (MEMBERS - reserve))
    shares["memory"] += deployments * reserve * costs.memory_mb / 1024 / assumed.memory_gb
    first = max(shares, key=lambda name: shares[name])
    machines = math.ceil(shares[first] / BUSY_AT_MOST) + 1
    busy = math.ceil(opened_s * assumed.appends / (costs.ledger_appends_s * BUSY_AT_MOST))
    return Fleet(
        sessions=sessions,
        machines=machines,
        standbys=standbys,
        reserve=reserve,
        shards=max(busy, deployments),
        deployments=deployments,
        first=first,
    )


def fleets(costs: Costs, assumed: Assumptions, sizes: Sequence[int] = SIZES) -> list[Fleet]:
    """Say it for each size."""
    return [fleet(size, costs, assumed) for size in sizes]
