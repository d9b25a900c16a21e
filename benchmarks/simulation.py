"""A discrete-event simulation of the pool: who waits for a standby, and for how long.

Pure and deterministic. Sessions arrive at random moments and last a log-normal time, or as in a
trace that was measured; each takes a standby, and the pool starts another as soon as it may. What
is simulated is the wait between an agent's click and a session actor that can take it, nothing
else. How many standbys the arrivals call for is decided by the pool's own code.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, repeat

from actors.arrivals import Arrivals, StartTime, standbys_for

_ARRIVE, _STARTED, _OVER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Opening:
    """An agent's click: when, and how long the session stays once it has begun, in seconds."""

    at: float
    stays: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a contact centre does in its busiest hour."""

    sessions_per_hour: float
    minutes: float
    """Mean length of a session."""
    spread: float = 0.8
    """Standard deviation of the logarithm of the length."""

    def openings(self, chance: random.Random) -> Iterator[Opening]:
        """Let sessions come for ever."""
        pauses = (chance.expovariate(self.sessions_per_hour / 3600) for _ in repeat(None))
        return (Opening(at, self.length(chance)) for at in accumulate(pauses))

    def length(self, chance: random.Random) -> float:
        middle = math.log(self.minutes * 60) - self.spread**2 / 2
        return chance.lognormvariate(middle, self.spread)


@dataclass(frozen=True, slots=True)
class Supply:
    """What the pool can do."""

    standbys: int
    """Kept ready when nobody comes."""
    start_seconds: float
    """From deciding to start a session actor until it can take a session."""
    starts_at_once: int
    members: int
    """Most session actors, live and waiting, that the machines hold."""
    patience_seconds: float = 5.0
    """An opening that waits longer is refused."""
    most_standbys: int = 0
    """Kept ready at most, where arrivals call for more than `standbys`; 0: never more."""
    assumed_start_seconds: float = StartTime.FIRST_S
    """What the pool takes starts to last before it has seen one."""


@dataclass(slots=True)
class Outcome:
    """What happened in one simulated stretch."""

    openings: int = 0
    waits: list[float] = field(default_factory=list)
    """Of those that found no standby, until they got one."""
    refused: int = 0
    peak_sessions: int = 0
    peak_standbys: int = 0

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

    def __init__(self, openings: Iterable[Opening], supply: Supply) -> None:
        """`openings` come in the order of their times."""
        self._openings = iter(openings)
        self._supply = supply
        self._arrivals = Arrivals()
        self._taken = 0
        self._start_time = StartTime(supply.assumed_start_seconds)
        self._events: list[tuple[float, int, int]] = []
        self._order = 0
        self._idle = supply.standbys
        self._starting = 0
        self._live = 0
        self._next: Opening | None = None
        self._queue: deque[Opening] = deque()
        self._outcome = Outcome()

    def run(self, until: float = math.inf, *, counted_from: float = 0.0) -> Outcome:
        """Simulate until everything has happened, or this time; earlier things are not counted."""
        self._arrivals.observe(0, 0.0)
        self._expect_opening()
        while self._events:
            now, _, event = heapq.heappop(self._events)
            if now >= until:
                break
            counts = now >= counted_from
            self._give_up(now, counts)
            match event:
                case 0:
                    assert self._next is not None
                    self._queue.append(self._next)
                    self._outcome.openings += counts
                    self._expect_opening()
                case 1:
                    self._starting -= 1
                    self._idle += 1
                    self._start_time.observe(self._supply.start_seconds)
                case _:
                    self._live -= 1
            self._serve(now, counts)
            self._refill(now)
            self._outcome.peak_standbys = max(self._outcome.peak_standbys, self._idle)
        return self._outcome

    def _expect_opening(self) -> None:
        self._next = next(self._openings, None)
        if self._next is not None:
            self._at(self._next.at, _ARRIVE)

    def _at(self, time: float, event: int) -> None:
        self._order += 1
        heapq.heappush(self._events, (time, self._order, event))

    def _give_up(self, now: float, counts: bool) -> None:
        while self._queue and now - self._queue[0].at > self._supply.patience_seconds:
            self._queue.popleft()
            self._outcome.refused += counts

    def _serve(self, now: float, counts: bool) -> None:
        while self._queue and self._idle:
            opening = self._queue.popleft()
            waited = now - opening.at
            self._idle -= 1
            self._live += 1
            self._taken += 1
            self._at(now + opening.stays, _OVER)
            if waited > 0 and counts:
                self._outcome.waits.append(waited)
        self._outcome.peak_sessions = max(self._outcome.peak_sessions, self._live)

    def _refill(self, now: float) -> None:
        supply = self._supply
        wanted = self._kept_ready(now) + len(self._queue)
        while (
            self._idle + self._starting < wanted
            and self._starting < supply.starts_at_once
            and self._idle + self._starting + self._live < supply.members
        ):
            self._starting += 1
            self._at(now + supply.start_seconds, _STARTED)

    def _kept_ready(self, now: float) -> int:
        supply = self._supply
        if supply.most_standbys <= supply.standbys:
            return supply.standbys
        self._arrivals.observe(self._taken, now)
        return standbys_for(
            self._arrivals.per_s,
            self._start_time.seconds,
            floor=supply.standbys,
            ceiling=supply.most_standbys,
        )


def simulate(traffic: Traffic, supply: Supply, seed: int, hours: float) -> Outcome:
    """Let so many hours pass; the first tenth fills the machines and is not counted."""
    end = hours * 3600
    openings = traffic.openings(random.Random(seed))
    return Simulation(openings, supply).run(end, counted_from=end / 10)


def fewest_standbys(
    traffic: Traffic, supply: Supply, *, waiting_share: float, hours: float, seed: int
) -> tuple[int, Outcome]:
    """Find the smallest pool with which at most this share of openings has to wait.

    Raises:
        ValueError: no pool of up to half of the machines' room is large enough.
    """
    most = max(1, supply.members // 2)

    def tried(standbys: int) -> Outcome:
        return simulate(traffic, replace(supply, standbys=standbys), seed, hours)

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
