"""The supply of standbys: started ahead of need, counted by the ledger.

The pool never counts processes. It learns from the ledger which members have a link, so standbys
that were there before it started are adopted by being counted, and one that dies is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from actors.avoided import Avoided
from actors.chores import Chores
from actors.demand import Demand
from actors.ledger_link import LedgerLink, LinkTiming
from actors.link import Tls
from actors.placement import Place, plan, reserve_for
from actors.vacating import Need, Vacating
from broker.messages.cluster.base import read
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import NodeState, PoolLevel, PoolVacate

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How many standbys there should be, and how hard to try."""

    target: int = 4
    """Standbys to keep ready when nobody comes."""
    target_limit: int = 64
    """Standbys to keep ready at most, however many come."""
    reserve_limit: int = 16
    """Standbys kept beside those, for the sessions of the fullest node: its number, at most."""
    starting_limit: int = 2
    """Starts at work at once; one costs more than a second of a processor."""
    start_s: float = 60.0
    """A start that takes longer has failed."""
    overdue_s: float = 5.0
    """A start that takes longer, and three times what starts take, is tried elsewhere, too."""
    put_off_s: float = 3.0
    """Starts that nobody waits for are put off so long at most, and until the next look, while
    sessions are on their way to another actor: those need the processor first."""
    arrival_s: float = 15.0
    """A standby that was started and has no link to the ledger after this long is not coming."""
    members_limit: int = 10_000
    """No starts above this many session actors, live ones included."""
    backoff_first_s: float = 0.5
    backoff_last_s: float = 30.0
    vacate_below: float = 0.0
    """Let nodes run empty while the others would be filled to at most this share of their slots,
    for an autoscaler that removes idle ones; 0: never."""
    vacate_after_s: float = 120.0
    """A node is closed when it could be spared for so long."""


@dataclass(eq=False, slots=True)
class _Start:
    """One start at work."""

    node: str | None
    overdue: bool = False


class Pool:
    """Keeps as many standbys as arrivals and a node's death need, and one for each who waits.

    `start_standby` starts one on a node (`None`: on any) and returns when it was started, not when
    it has a link. `places` names the nodes that can have some, as known now; without any the
    starts go where they will. `elsewhere` counts the session actors of other pools that are under
    the same limit. The pool owns its link and the starts at work; `close()` ends both and leaves
    the standbys alone.
    """

    def __init__(
        self,
        start_standby: Callable[[str | None], Awaitable[None]],
        resolve: Callable[[], Awaitable[tuple[str, int]]],
        key: bytes,
        hello: LinkHello,
        *,
        policy: PoolPolicy | None = None,
        timing: LinkTiming | None = None,
        places: Callable[[], Sequence[Place]] = tuple,
        elsewhere: Callable[[], int] = int,
        tls: Tls | None = None,
    ) -> None:
        self._places = places
        self._elsewhere = elsewhere
        self._demand = Demand()
        # Nodes of the starts at work, and of those that came back and have no link yet.
        self._under_way: Counter[str] = Counter()
        self._start_standby = start_standby
        self._policy = policy or PoolPolicy()
        self._link = LedgerLink(
            resolve,
            key,
            hello,
            on_notice=self._on_notice,
            on_down=self._on_down,
            timing=timing,
            tls=tls,
        )
        self._chores = Chores()
        self._level: PoolLevel | None = None
        self._told: PoolVacate | None = None
        self._last: PoolLevel | None = None
        # Every member there ever was, in order: one that comes back with the ledger is no arrival.
        self._seen: dict[str, None] = {}
        self._linked: set[str] = set()
        self._starting = 0
        self._arriving: list[tuple[asyncio.TimerHandle, str | None]] = []
        self._early = 0
        # Starts that hang: at most `starting_limit` on each node, which is avoided meanwhile.
        self._overdue = 0
        self._failures = 0
        self._pause: asyncio.TimerHandle | None = None
        self._moving_since: float | None = None
        self._avoided = Avoided(self._policy.backoff_first_s, self._policy.backoff_last_s)
        self._vacating = Vacating(
            self._policy.vacate_below, self._policy.vacate_after_s, spared=hello.node
        )
        self._pauses: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    @property
    def level(self) -> PoolLevel | None:
        """What the ledger said last; `None` while it is away."""
        return self._level

    def take_linked(self) -> set[str]:
        """Name the processes that had a link since this was asked before, however briefly."""
        linked, self._linked = self._linked, set()
        return linked

    @property
    def members(self) -> int:
        """How many session actors there are or will be, as far as was ever known."""
        return self._coming + (0 if self._last is None else len(self._last.members))

    @property
    def _coming(self) -> int:
        return self._starting - self._early + len(self._arriving)

    def used(self, node: str) -> int:
        """How many session actors are there or on their way, as far as was ever known."""
        there = [] if self._last is None else self._last.nodes
        coming = self._under_way[node]
        return coming + next((each.members for each in there if each.node == node), 0)

    @property
    def starting(self) -> int:
        """Starts at work."""
        return self._starting

    async def start(self) -> None:
        """Begin; returns at once."""
        await self._link.start()

    async def close(self) -> None:
        """Stop starting standbys; harmless when closed."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        for pause in self._pauses.values():
            pause.cancel()
        for timer, _ in self._arriving:
            timer.cancel()
        self._arriving.clear()
        await self._link.close()
        await self._chores.close()

    def set_target(self, target: int) -> None:
        """Change how many standbys to keep. Those above it stay until they are used."""
        self._policy = replace(self._policy, target=target)
        self._fill()

    def refill(self) -> None:
        """Look again at what is missing or can be spared: places change, and time passes."""
        self._fill()

    def _on_notice(self, method: str, payload: bytes) -> None:
        if method != "pool.level":
            return
        level = read(PoolLevel, payload)
        reused = frozenset(level.reused)
        for member in (*level.passed, *level.members):
            if member in self._seen:
                continue
            self._seen[member] = None
            if member in reused:
                # Its process was there before; no start of ours has come.
                continue
            if self._arriving:
                timer, node = self._arriving.pop(0)
                timer.cancel()
                self._forget(node)
            elif self._early < self._starting:
                # Its link was up before its start returned.
                self._early += 1
        while len(self._seen) > max(2 * self._policy.members_limit, len(level.members)):
            del self._seen[next(iter(self._seen))]
        self._level = self._last = level
        self._linked.update(level.processes)
        self._fill()

    def _on_down(self) -> None:
        # Nothing is started blindly: members that are still there come back with the ledger.
        self._level = None
        self._told = None

    def _fill(self) -> None:
        level, policy = self._level, self._policy
        if level is None or self._closed or self._pause is not None:
            return
        coming = self._coming
        room = policy.members_limit - self._elsewhere() - len(level.members) - coming
        free = min(room, policy.starting_limit - self._starting + self._overdue)
        if self._puts_off(level):
            free = min(free, level.queued - coming)
        for node in self._wanted(level, coming, free):
            self._starting += 1
            if node is not None:
                self._under_way[node] += 1
            self._chores.start(self._start(_Start(node)))

    def _puts_off(self, level: PoolLevel) -> bool:
        """Whether all starts wait that nobody waits for, because sessions are on their way."""
        if not level.moving:
            self._moving_since = None
            return False
        now = asyncio.get_running_loop().time()
        if self._moving_since is None:
            self._moving_since = now
        return now - self._moving_since < self._policy.put_off_s

    def _wanted(self, level: PoolLevel, coming: int, limit: int) -> list[str | None]:
        """Name where to start how many now: at most `limit`."""
        policy, now = self._policy, asyncio.get_running_loop().time()
        target = self._demand.target(
            level.taken, now, floor=policy.target, limit=policy.target_limit
        )
        known = {state.node: state for state in level.nodes}
        places = self._places()
        nodes = [_filled(each, known.get(each.node), self._under_way) for each in places]
        nodes = self._avoided.cordon(nodes, now)
        if not nodes:
            return [None] * min(limit, max(0, target + level.queued - level.standbys - coming))
        reserve = reserve_for(nodes, policy.reserve_limit)
        # A ledger of the release before this one does not say what is wanted.
        queued = level.queued_for or {"": level.queued}
        if policy.vacate_below > 0:
            need = Need(target, reserve, waiting=level.queued > 0)
            self._vacating.look(nodes, need, now)
            nodes = self._vacating.cordon(nodes)
            there = [_filled(each, known.get(each.node), Counter()) for each in places]
            self._tell_closed(self._vacating.retired(self._avoided.cordon(there, now), need))
        return list(plan(nodes, target=target, reserve=reserve, queued=queued, limit=limit))

    def _tell_closed(self, retired: str) -> None:
        """Tell the ledger what changed; it sees for itself whether a session is there by now."""
        told = PoolVacate(closed=sorted(self._vacating.closed), retired=retired)
        if told != self._told or retired:
            if self._told is None or told.closed != self._told.closed:
                _log.warning("Other nodes are let run empty.", extra={"nodes": told.closed})
            self._link.notify("pool.vacate", told)
            self._told = told

    def _forget(self, node: str | None) -> None:
        if node is not None:
            self._under_way[node] -= 1

    async def _start(self, start: _Start) -> None:
        node, started = start.node, False
        loop = asyncio.get_running_loop()
        begun = loop.time()
        patience_s = max(self._policy.overdue_s, 3 * self._demand.start_s)
        watch = loop.call_later(patience_s, self._on_overdue, start)
        try:
            async with asyncio.timeout(self._policy.start_s):
                await self._start_standby(node)
            started = True
            self._demand.on_started(loop.time() - begun)
        except Exception as error:
            # Whatever the starter raises, the pool goes on: it is what refills a cluster that
            # comes back.
            _log.warning("A standby could not be started.", extra={"why": repr(error)})
        finally:
            self._starting -= 1
            watch.cancel()
            self._on_overdue_over(start)
        if started:
            self._failures = 0
            if node is not None:
                self._avoided.succeed(node)
            if self._early:
                self._early -= 1
                self._forget(node)
            else:
                timer = loop.call_later(self._policy.arrival_s, self._on_late)
                self._arriving.append((timer, node))
        else:
            self._forget(node)
            self._early = min(self._early, self._starting)
            if node is None:
                self._back_off()
            else:
                self._avoid(node)
        self._fill()

    def _on_overdue(self, start: _Start) -> None:
        """Try elsewhere, too; the start goes on, because the machine may only be slow."""
        if start.node is None or self._closed:
            return
        _log.warning("A start hangs; its node is avoided.", extra={"node": start.node})
        start.overdue = True
        self._overdue += 1
        self._forget(start.node)
        self._avoided.hang(start.node)
        self._fill()

    def _on_overdue_over(self, start: _Start) -> None:
        if start.overdue and start.node is not None:
            self._overdue -= 1
            self._under_way[start.node] += 1
            self._avoided.end_hang(start.node)

    def _avoid(self, node: str) -> None:
        """Start nothing there for a while; the other nodes need not wait."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        pause_s = self._avoided.fail(node, loop.time())
        if (pause := self._pauses.pop(node, None)) is not None:
            pause.cancel()
        self._pauses[node] = loop.call_later(pause_s, self._on_node_pause_over, node)

    def _on_node_pause_over(self, node: str) -> None:
        del self._pauses[node]
        self._fill()

    def _on_late(self) -> None:
        if self._arriving:
            _, node = self._arriving.pop(0)
            self._forget(node)
            if node is not None:
                self._avoid(node)
        _log.warning("A started standby did not come.")
        self._fill()

    def _back_off(self) -> None:
        self._failures += 1
        if self._pause is None and not self._closed:
            policy = self._policy
            delay = min(
                policy.backoff_first_s * 2 ** min(self._failures - 1, 16), policy.backoff_last_s
            )
            self._pause = asyncio.get_running_loop().call_later(delay, self._on_pause_over)

    def _on_pause_over(self) -> None:
        self._pause = None
        self._fill()


def _filled(place: Place, state: NodeState | None, under_way: Counter[str]) -> Place:
    """Add what the ledger and the pool know of a node."""
    coming = under_way[place.node]
    if state is None:
        return replace(place, used=coming, standbys=coming)
    return replace(
        place,
        used=state.members + coming,
        standbys=state.standbys + coming,
        live=state.live,
        cordoned=state.drain != "no",
    )
