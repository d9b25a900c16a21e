"""A discrete-event simulation of the pool: who waits for a standby, and for how long.

Pure and deterministic for a seed. Sessions arrive at random moments and last a log-normal time;
each takes a standby, and the pool starts another as soon as it may. What is simulated is the wait
between an agent's click and a session actor that can take it, nothing else.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field, replace

_ARRIVE, _STARTED, _OVER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a contact centre does in its busiest hour."""

    sessions_per_hour: float
    minutes: float
    """Mean length of a session."""
    spread: float = 0.8
    """Standard deviation of the logarithm of the length."""

    def pause(self, chance: random.Random) -> float:
        return chance.expovariate(self.sessions_per_hour / 3600)

    def length(self, chance: random.Random) -> float:
        middle = math.log(self.minutes * 60) - self.spread**2 / 2
        return chance.lognormvariate(middle, self.spread)


@dataclass(frozen=True, slots=True)
class Supply:
    """What the pool can do."""

    standbys: int
    start_seconds: float
    """From deciding to start a session actor until it can take a session."""
    starts_at_once: int
    members: int
    """Most session actors, live and waiting, that the machines hold."""
    patience_seconds: float = 5.0
    """An opening that waits longer is refused."""


@dataclass(slots=True)
class Outcome:
    """What happened in one simulated stretch."""

    openings: int = 0
    waits: list[float] = field(default_factory=list)
    """Of those that found no standby, until they got one."""
    refused: int = 0
    peak_sessions: int = 0

    @property
    def waited_share(self) -> float:
        """Openings that did not ring at once."""
        return (len(self.waits) + self.refused) / max(self.openings, 1)

    def wait(self, percent: float) -> float:
        """Return the wait in seconds that this share of openings did not exceed."""
        ranked = sorted(self.waits)
        at_once = self.openings - len(ranked) - self.refused
        rank = math.ceil(self.openings * percent / 100) - at_once
        if rank <= 0:
            return 0.0
        return ranked[rank - 1] if rank <= len(ranked) else math.inf


class Simulation:
    """One run. `run` may be called once."""

    def __init__(self, traffic: Traffic, supply: Supply, seed: int) -> None:
        self._traffic = traffic
        self._supply = supply
        self._chance = random.Random(seed)
        self._events: list[tuple[float, int, int]] = []
        self._order = 0
        self._idle = supply.standbys
        self._starting = 0
        self._live = 0
        self._queue: deque[float] = deque()
        self._outcome = Outcome()

    def run(self, hours: float) -> Outcome:
        """Simulate; the first tenth fills the machines with sessions and is not counted."""
        end = hours * 3600
        counted_from = end / 10
        self._at(self._traffic.pause(self._chance), _ARRIVE)
        while self._events:
            now, _, event = heapq.heappop(self._events)
            if now >= end:
                break
            counts = now >= counted_from
            self._give_up(now, counts)
            match event:
                case 0:
                    self._at(now + self._traffic.pause(self._chance), _ARRIVE)
                    self._outcome.openings += counts
                    self._queue.append(now)
                case 1:
                    self._starting -= 1
                    self._idle += 1
                case _:
                    self._live -= 1
            self._serve(now, counts)
            self._refill(now)
        return self._outcome

    def _at(self, time: float, event: int) -> None:
        self._order += 1
        heapq.heappush(self._events, (time, self._order, event))

    def _give_up(self, now: float, counts: bool) -> None:
        while self._queue and now - self._queue[0] > self._supply.patience_seconds:
            self._queue.popleft()
            self._outcome.refused += counts

    def _serve(self, now: float, counts: bool) -> None:
        while self._queue and self._idle:
            waited = now - self._queue.popleft()
            self._idle -= 1
            self._live += 1
            self._at(now + self._traffic.length(self._chance), _OVER)
            if waited > 0 and counts:
                self._outcome.waits.append(waited)
        self._outcome.peak_sessions = max(self._outcome.peak_sessions, self._live)

    def _refill(self, now: float) -> None:
        supply = self._supply
        wanted = supply.standbys + len(self._queue)
        while (
            self._idle + self._starting < wanted
            and self._starting < supply.starts_at_once
            and self._idle + self._starting + self._live < supply.members
        ):
            self._starting += 1
            self._at(now + supply.start_seconds, _STARTED)


def fewest_standbys(
    traffic: Traffic, supply: Supply, *, waiting_share: float, hours: float, seed: int
) -> tuple[int, Outcome]:
    """Find the smallest pool with which at most this share of openings has to wait.

    Raises:
        ValueError: no pool of up to half of the machines' room is large enough.
    """
    most = max(1, supply.members // 2)

    def tried(standbys: int) -> Outcome:
        return Simulation(traffic, replace(supply, standbys=standbys), seed).run(hours)

    low, high = 1, 1
    while (outcome := tried(high)).waited_share > waiting_share:
        if high >= most:
            raise ValueError(
                f"Starting {supply.starts_at_once} session actors at once, each in "
                f"{supply.start_seconds:.1f} s, cannot follow {traffic.sessions_per_hour:.0f} "
                "sessions an hour with any pool."
            )
        low, high = high + 1, min(high * 2, most)
    while low < high:
        middle = (low + high) // 2
        if (found := tried(middle)).waited_share <= waiting_share:
            high, outcome = middle, found
        else:
            low = middle + 1
    return high, outcome
