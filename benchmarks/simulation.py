"""A discrete-event simulation of pool and placement: who waits for a standby, and for how long.

Pure and deterministic. Sessions arrive at random moments and last a log-normal time, or as in a
trace that was measured; each takes a standby, and the pool starts another as soon as it may. What
is simulated is the wait between an agent's click and a session actor that can take it.

What the product decides is decided here by the same code: how many standbys the arrivals call for
(`actors.demand`), on which nodes they are started, the reserve for the loss of a node, and which
standby an opening gets (`actors.placement`). Left out is what happens when something fails: starts
that hang, nodes that die or are drained; and a process's second session.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, repeat

from actors.demand import Demand
from actors.placement import Place, least_loaded, plan, reserve_for
from actors.pool import PoolPolicy
from benchmarks.histogram import require


@dataclass(frozen=True, slots=True)
class Opening:
    """An agent's click: when, and how long the session stays once it has begun, in seconds."""

    at: float
    stays: float
    label: str = ""
    """Of the nodes that it may have; empty: any."""


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
    """What the pool is told, and what its machines can do."""

    policy: PoolPolicy
    places: tuple[Place, ...]
    """The nodes, empty."""
    start_seconds: tuple[float, ...]
    """From the pool's decision to a standby: with one start at work on a machine, with two, and so
    on; the last holds for more. Those at work share its processors, so a start that is joined by
    another goes on at the pace of two."""
    one_machine: bool = False
    """Whether all nodes share one machine's processors, as those of a test do."""
    patience_seconds: float = 5.0
    """An opening that waits longer is refused."""


@dataclass(slots=True)
class Outcome:
    """What happened in one stretch, simulated or measured."""

    waited: list[float | None] = field(default_factory=list)
    """How long each opening waited for its session, in seconds and in the order in which they came;
    0 where a standby was ready, `None` where it was refused."""
    standbys: list[tuple[float, int]] = field(default_factory=list)
    """How many there were from when on, in seconds."""
    started: Counter[str] = field(default_factory=Counter)
    """Session actors by node."""
    peak_sessions: int = 0

    @property
    def openings(self) -> int:
        return len(self.waited)

    @property
    def refused(self) -> int:
        return self.waited.count(None)

    @property
    def peak_standbys(self) -> int:
        return max((count for _, count in self.standbys), default=0)

    @property
    def waited_share(self) -> float:
        """Openings that did not ring at once."""
        return sum(each != 0.0 for each in self.waited) / max(self.openings, 1)

    @property
    def longest_wait(self) -> float:
        """Return what nobody waited longer than; infinite for a refusal, 0 where nobody came."""
        return max((math.inf if each is None else each for each in self.waited), default=0.0)

    def wait(self, percent: float) -> float:
        """Return the wait that this share of openings did not exceed; infinite for a refusal.

        Raises:
            TooFew: there are too few openings for it.
        """
        require(self.openings, percent)
        ranked = sorted(math.inf if each is None else each for each in self.waited)
        return ranked[max(1, math.ceil(self.openings * percent / 100)) - 1]


@dataclass(frozen=True, slots=True)
class _Start:
    node: str
    begun: float
    ends_at: float
    """In its machine's progress."""


class _Machine:
    """Processors that starts at work share. All are as much work, so the first begun ends first."""

    def __init__(self, seconds: tuple[float, ...]) -> None:
        self._seconds = seconds
        self._progress = 0.0
        """Starts that one begun with the machine would have completed."""
        self._now = 0.0
        self._starts: deque[_Start] = deque()

    def next_at(self) -> float:
        """Return when the next start ends if none begins before."""
        if not self._starts:
            return math.inf
        return self._now + (self._starts[0].ends_at - self._progress) * self._each()

    def begin(self, node: str, now: float) -> None:
        self._advance(now)
        self._starts.append(_Start(node, now, self._progress + 1))

    def end(self, now: float) -> _Start:
        """Take off the start that ends now."""
        self._advance(now)
        return self._starts.popleft()

    def _advance(self, now: float) -> None:
        if self._starts:
            self._progress += (now - self._now) / self._each()
        self._now = now

    def _each(self) -> float:
        return self._seconds[min(len(self._starts), len(self._seconds)) - 1]


class Simulation:
    """One run. `run` may be called once."""

    def __init__(self, openings: Iterable[Opening], supply: Supply) -> None:
        """`openings` come in the order of their times, over a pool that stands ready."""
        self._openings = iter(openings)
        self._supply = supply
        self._demand = Demand()
        self._taken = 0
        self._places = {place.node: place for place in supply.places}
        shared = _Machine(supply.start_seconds)
        self._machine_of = {
            node: shared if supply.one_machine else _Machine(supply.start_seconds)
            for node in self._places
        }
        self._machines = list(dict.fromkeys(self._machine_of.values()))
        self._starting: Counter[str] = Counter()
        self._idle: list[str] = []
        """Nodes of the standbys, the oldest first."""
        self._overs: list[tuple[float, str]] = []
        """When each live session is over, and where it is."""
        self._live: Counter[str] = Counter()
        """Sessions by node."""
        self._next: Opening | None = None
        self._queue: dict[int, Opening] = {}
        """Who waits, by number, the oldest first."""
        self._wanted: Counter[str] = Counter()
        """How many of them, by label."""
        self._number = 0
        self._waited: dict[int, float | None] = {}
        self._outcome = Outcome()

    def run(self, until: float = math.inf, *, counted_from: float = 0.0) -> Outcome:
        """Simulate until everything has happened, or this time; earlier things are not counted."""
        self._stand_ready()
        self._next = next(self._openings, None)
        now = 0.0
        while (now := self._next_at()) < until:
            self._happen(now, counts=now >= counted_from)
            self._serve(now)
            self._refill(now)
            if now >= counted_from:
                self._note(now)
        self._outcome.waited = [
            waited for number, waited in sorted(self._waited.items()) if number not in self._queue
        ]
        return self._outcome

    def _stand_ready(self) -> None:
        policy = self._supply.policy
        self._demand.target(0, 0.0, floor=policy.target, limit=policy.target_limit)
        for node in plan(
            self._now_places(),
            target=policy.target,
            reserve=0,
            queued={},
            limit=policy.members_limit,
        ):
            self._idle.append(node)
            self._demand.on_started(self._supply.start_seconds[0])
        self._note(0.0)

    def _next_at(self) -> float:
        return min(
            math.inf if self._next is None else self._next.at,
            min(machine.next_at() for machine in self._machines),
            self._overs[0][0] if self._overs else math.inf,
            self._gives_up_at(),
        )

    def _gives_up_at(self) -> float:
        oldest = next(iter(self._queue.values()), None)
        return math.inf if oldest is None else oldest.at + self._supply.patience_seconds

    def _happen(self, now: float, *, counts: bool) -> None:
        """Let one thing happen; what happens at the same time has its turn next."""
        for machine in self._machines:
            if machine.next_at() <= now:
                start = machine.end(now)
                self._starting[start.node] -= 1
                self._idle.append(start.node)
                self._outcome.started[start.node] += 1
                self._demand.on_started(now - start.begun)
                return
        if self._overs and self._overs[0][0] <= now:
            _, node = heapq.heappop(self._overs)
            self._live[node] -= 1
        elif self._gives_up_at() <= now:
            self._leave(next(iter(self._queue)))
        elif self._next is not None:
            self._queue[self._number] = self._next
            self._wanted[self._next.label] += 1
            if counts:
                self._waited[self._number] = None
            self._number += 1
            self._next = next(self._openings, None)

    def _serve(self, now: float) -> None:
        """Give standbys away, to who came first."""
        for number, opening in list(self._queue.items()) if self._idle else ():
            fit = [node for node in self._idle if opening.label in ("", self._places[node].label)]
            node = least_loaded(fit, str, lambda: self._live)
            if node is None:
                continue
            self._leave(number)
            self._idle.remove(node)
            self._taken += 1
            self._live[node] += 1
            heapq.heappush(self._overs, (now + opening.stays, node))
            if number in self._waited:
                self._waited[number] = now - opening.at

    def _leave(self, number: int) -> None:
        self._wanted[self._queue.pop(number).label] -= 1

    def _now_places(self) -> list[Place]:
        standbys = Counter(self._idle)
        standbys.update(self._starting)
        return [
            Place(
                node,
                place.label,
                place.slots,
                used=self._live[node] + standbys[node],
                standbys=standbys[node],
                live=self._live[node],
            )
            for node, place in self._places.items()
        ]

    def _refill(self, now: float) -> None:
        policy = self._supply.policy
        target = self._demand.target(
            self._taken, now, floor=policy.target, limit=policy.target_limit
        )
        starting = self._starting.total()
        room = policy.members_limit - starting - len(self._idle) - len(self._overs)
        limit = min(room, policy.starting_limit - starting)
        if limit <= 0:
            return
        places = self._now_places()
        reserve = reserve_for(places, policy.reserve_limit)
        for node in plan(places, target=target, reserve=reserve, queued=self._wanted, limit=limit):
            self._starting[node] += 1
            self._machine_of[node].begin(node, now)

    def _note(self, now: float) -> None:
        outcome = self._outcome
        outcome.peak_sessions = max(outcome.peak_sessions, len(self._overs))
        if not outcome.standbys or outcome.standbys[-1][1] != len(self._idle):
            outcome.standbys.append((now, len(self._idle)))


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
    most = max(1, sum(place.slots for place in supply.places) // 2)

    def tried(standbys: int) -> Outcome:
        policy = replace(supply.policy, target=standbys)
        return simulate(traffic, replace(supply, policy=policy), seed, hours)

    low, high = 1, 1
    while (outcome := tried(high)).waited_share > waiting_share:
        if high >= most:
            raise ValueError(
                f"Starting {supply.policy.starting_limit} session actors at once, each in "
                f"{supply.start_seconds[-1]:.1f} s, cannot follow "
                f"{traffic.sessions_per_hour:.0f} sessions an hour with any pool."
            )
        low, high = high + 1, min(high * 2, most)
    while low < high:
        middle = (low + high) // 2
        if (found := tried(middle)).waited_share <= waiting_share:
            high, outcome = middle, found
        else:
            low = middle + 1
    return high, outcome
