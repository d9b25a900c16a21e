"""Drains: nodes that get no session, and whose sessions are moved away until a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from actors.chores import Chores
from actors.ledger.database import Database
from actors.ledger.journal import insert_for
from actors.ledger.live import Directory, Live
from actors.ledger.policy import LedgerPolicy
from actors.ledger.rescue import Rescue
from actors.ledger.schema import cordons
from actors.ledger.standbys import Actor, Standbys
from actors.ledger.writer import Writer
from broker.errors import ErrorCode, NotFound, SwitchboardError
from broker.messages.cluster.base import Done
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeState, NodeUndrain
from broker.messages.cluster.tenure import SessionLeaving

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Drain:
    """One node's drain, from `drain` to `undrain`."""

    node: str
    deadline_ms: int
    moved: int = 0
    told: dict[str, int] = field(default_factory=dict)
    """Sessions whose people know that they will be moved, each with the epoch of that word."""
    tries: Counter[str] = field(default_factory=Counter)
    """How often each session was to be moved in vain."""
    work: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Cordon:
    """The drain as it is written down."""

    node: str
    since_ms: int
    deadline_ms: int

    def __call__(self, connection: sa.Connection) -> None:
        """Replace what stands there; every shard's ledger writes it."""
        values = {"since_ms": self.since_ms, "deadline_ms": self.deadline_ms}
        insert = insert_for(connection, cordons).values(node=self.node, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=["node"], set_=values))


@dataclass(frozen=True, slots=True)
class Uncordon:
    """The end of a drain."""

    node: str

    def __call__(self, connection: sa.Connection) -> None:
        """Does nothing where there is none."""
        connection.execute(sa.delete(cordons).where(cordons.c.node == self.node))


class Drains:
    """The drains there are. They outlive the ledger: the next one goes on with them.

    A drain moves at most `moves_at_once` sessions at a time, until its deadline: what is left
    then stays where it is. The node stays cordoned until `undrain`. The ledger's chores own the
    work.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        directory: Directory,
        standbys: Standbys,
        rescue: Rescue,
        chores: Chores,
        policy: LedgerPolicy,
        now_ms: Callable[[], int],
        actors: Callable[[], Iterable[Actor]],
    ) -> None:
        self._database = database
        self._writer = writer
        self._directory = directory
        self._standbys = standbys
        self._rescue = rescue
        self._chores = chores
        self._policy = policy
        self._now_ms = now_ms
        self._actors = actors
        self._drains: dict[str, Drain] = {}

    async def load(self) -> None:
        """Read the drains of the ledger before this one; those of nodes long gone are dropped."""
        for row in await self._database.rows(sa.select(cordons)):
            if row.deadline_ms + self._policy.cordon_kept_ms < self._now_ms():
                await self._writer.do(Uncordon(row.node))
            else:
                self._begin(row.node, row.deadline_ms)

    async def drain(self, ask: NodeDrain) -> NodeState:
        """Begin, or set a new deadline.

        Raises:
            NotFound: `unknown_node`: nobody is known to be there.
        """
        here = any(actor.member.node == ask.node for actor in self._actors())
        if not (here or ask.known or ask.node in self._drains):
            raise NotFound(ErrorCode.UNKNOWN_NODE, "There is no such node.")
        now_ms = self._now_ms()
        deadline_ms = now_ms + round(ask.deadline_s * 1000)
        await self._writer.do(Cordon(ask.node, now_ms, deadline_ms))
        self._begin(ask.node, deadline_ms)
        _log.warning("A node is being drained.", extra={"node": ask.node})
        return self.state(ask.node)

    async def undrain(self, ask: NodeUndrain) -> Done:
        """End the drain; harmless where there is none."""
        await self._writer.do(Uncordon(ask.node))
        drain = self._drains.pop(ask.node, None)
        if drain is not None:
            if drain.work is not None:
                drain.work.cancel()
            self._announce(drain, None)
            self._standbys.uncordon(ask.node)
            _log.warning("A node is no longer drained.", extra={"node": ask.node})
        return Done()

    def all(self) -> NodeList:
        """Say how every node stands."""
        here: dict[str, list[Actor]] = {name: [] for name in self._drains}
        for actor in self._actors():
            here.setdefault(actor.member.node, []).append(actor)
        loads, left = self._directory.loads(), self._directory.left()
        return NodeList(
            nodes=[self._state(node, here[node], loads.get(node, 0), left) for node in sorted(here)]
        )

    def state(self, node: str) -> NodeState:
        """Say how one node stands."""
        here = [actor for actor in self._actors() if actor.member.node == node]
        loads, left = self._directory.loads(), self._directory.left()
        return self._state(node, here, loads.get(node, 0), left)

    def _state(self, node: str, here: list[Actor], live: int, left: Mapping[str, int]) -> NodeState:
        drain = self._drains.get(node)
        # Their actors may be there still, as all may when this ledger has just begun.
        unheld = left.get(node, 0) + left.get("", 0)
        standing = NodeState(
            node=node,
            label=here[0].member.label if here else "",
            standbys=sum(actor.waits for actor in here),
            reusable=sum(actor.waits_again for actor in here),
            live=live,
            unheld=unheld,
            members=len(here),
        )
        if drain is None:
            return standing
        # Who waits for this word stops the node then.
        empty = not here and not unheld
        word = "drained" if empty else "moving" if drain.work is not None else "late"
        return standing.model_copy(
            update={"drain": word, "deadline_ms": drain.deadline_ms, "moved": drain.moved}
        )

    def _begin(self, node: str, deadline_ms: int) -> None:
        drain = self._drains.setdefault(node, Drain(node, deadline_ms))
        drain.deadline_ms = deadline_ms
        drain.told.clear()
        drain.tries.clear()
        self._standbys.cordon(node)
        if drain.work is None:
            drain.work = self._chores.start(self._run(drain))

    async def _run(self, drain: Drain) -> None:
        try:
            # To the deadline, whatever is there now: actors come back after a lost link.
            while self._now_ms() < drain.deadline_ms:
                there = self._announce(drain, drain.deadline_ms - self._now_ms())
                # Those in vain so far come last: what lacks a standby of its own label, or whose
                # holder does not yield, must not hold up the others to the deadline.
                there.sort(key=lambda live: drain.tries[live.session_id])
                batch = there[: self._policy.moves_at_once]
                moved = await asyncio.gather(*(self._move(drain, live) for live in batch))
                drain.moved += sum(moved)
                drain.tries.update(
                    live.session_id for live, gone in zip(batch, moved, strict=True) if not gone
                )
                if not any(moved):
                    await asyncio.sleep(self._policy.drain_pause_s)
            self._announce(drain, None)
        finally:
            drain.work = None

    def _announce(self, drain: Drain, within_ms: int | None) -> list[Live]:
        """Tell the sessions of the node what becomes of them, once; returns them."""
        there = [live for live in self._directory if self._held_at(drain.node, live)]
        for live in there:
            told = drain.told.get(live.session_id) == live.epoch
            if told == (within_ms is None) and live.holder is not None:
                news = SessionLeaving(
                    session_id=live.session_id, epoch=live.epoch, within_ms=within_ms
                )
                live.holder.end.notify("session.leaving", news.to_bytes())
        drain.told = {} if within_ms is None else {live.session_id: live.epoch for live in there}
        return there

    async def _move(self, drain: Drain, live: Live) -> bool:
        left_s = max(0.0, (drain.deadline_ms - self._now_ms()) / 1000)
        try:
            return await self._rescue.move(live, timeout_s=min(left_s, self._policy.move_wait_s))
        except SwitchboardError as error:
            _log.info(
                "A session was not moved.",
                extra={"session_id": live.session_id, "code": str(error.code)},
            )
            return False

    @staticmethod
    def _held_at(node: str, live: Live) -> bool:
        return live.holder is not None and live.holder.member.node == node
