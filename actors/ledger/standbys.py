"""The standbys that wait for a session, and who waits for a standby."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from actors.link import End
from broker.errors import ErrorCode, Unavailable
from broker.messages.cluster import SessionMember

RESCUE = 0
MOVE = 1
OPENING = 2


@dataclass(eq=False, slots=True)
class Actor:
    """A session actor as the ledger knows it: what it said, its link, what it was given."""

    member: SessionMember
    end: End
    session_id: str | None = None


class Standbys:
    """Gives each standby away once, by comparing and setting in one step of the loop.

    Those who wait are served by urgency, then age: rescues before moves before openings, the
    oldest session first. At most `limit` openings wait. A standby on a node in `cordoned` is
    `dismissed` instead of being kept.
    """

    def __init__(
        self,
        limit: int,
        on_change: Callable[[], None] = lambda: None,
        dismiss: Callable[[Actor], None] = lambda actor: None,
    ) -> None:
        self._limit = limit
        self._on_change = on_change
        self._dismiss = dismiss
        self.cordoned: set[str] = set()
        self._idle: dict[str, Actor] = {}
        self._queue: list[tuple[int, int, int, asyncio.Future[Actor]]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._idle)

    @property
    def queued(self) -> int:
        """How many wait for a standby."""
        return sum(not entry[3].done() for entry in self._queue)

    def add(self, actor: Actor) -> None:
        """Take in a standby: the most urgent one who waits gets it."""
        if actor.end.link.closed:
            return
        if actor.member.node in self.cordoned:
            self._dismiss(actor)
            return
        while self._queue:
            future = heapq.heappop(self._queue)[3]
            if not future.done():
                future.set_result(actor)
                break
        else:
            self._idle[actor.member.member_id] = actor
        self._on_change()

    def cordon(self, node: str) -> None:
        """Keep no standby on this node any more."""
        self.cordoned.add(node)
        for actor in [each for each in self._idle.values() if each.member.node == node]:
            del self._idle[actor.member.member_id]
            self._dismiss(actor)
        self._on_change()

    def uncordon(self, node: str) -> None:
        """Let the node have standbys again."""
        self.cordoned.discard(node)
        self._on_change()

    def discard(self, actor: Actor) -> None:
        """Forget a standby; harmless when it is none any more."""
        if self._idle.get(actor.member.member_id) is actor:
            del self._idle[actor.member.member_id]
            self._on_change()

    async def take(self, urgency: int, since_ms: int, *, timeout_s: float) -> Actor:
        """Get a standby that nobody else gets.

        Raises:
            Unavailable: `no_capacity`: none came in time, or too many wait already.
        """
        while self._idle:
            actor = self._idle.pop(next(iter(self._idle)))
            if not actor.end.link.closed:
                self._on_change()
                return actor
        if urgency == OPENING and self.queued >= self._limit:
            raise _no_capacity()
        future: asyncio.Future[Actor] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._queue, (urgency, since_ms, self._order, future))
        self._on_change()
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            if future.done():  # It came in the same step of the loop as the deadline.
                return future.result()
            raise _no_capacity() from None
        except asyncio.CancelledError:
            if future.done():
                self.add(future.result())
            raise
        finally:
            self._give_up(future)

    def _give_up(self, future: asyncio.Future[Actor]) -> None:
        if not future.done():
            future.cancel()
            self._queue = [entry for entry in self._queue if entry[3] is not future]
            heapq.heapify(self._queue)
            self._on_change()


def _no_capacity() -> Unavailable:
    return Unavailable(ErrorCode.NO_CAPACITY, "No capacity is free at the moment.")
