"""The standbys that wait for a session, and who waits for a standby."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, order=True, slots=True)
class _Waiting:
    urgency: int
    since_ms: int
    order: int
    label: str
    future: asyncio.Future[Actor]


class Standbys:
    """Gives each standby away once, by comparing and setting in one step of the loop.

    Those who wait are served by urgency, then age: rescues before moves before openings, the
    oldest session first. At most `limit` openings wait. Of several idle ones the one on the node
    with the fewest sessions (`loads`) is given, so that the death of a node costs few. A standby
    on a node in `cordoned` is `dismissed` instead of being kept.
    """

    def __init__(
        self,
        limit: int,
        on_change: Callable[[], None] = lambda: None,
        dismiss: Callable[[Actor], None] = lambda actor: None,
        loads: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._limit = limit
        self._on_change = on_change
        self._dismiss = dismiss
        self._loads = loads
        self.taken = 0
        """Standbys given away so far."""
        self.cordoned: set[str] = set()
        self._idle: dict[str, Actor] = {}
        self._queue: list[_Waiting] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._idle)

    @property
    def queued(self) -> int:
        """How many wait for a standby."""
        return sum(not entry.future.done() for entry in self._queue)

    def queued_for(self) -> dict[str, int]:
        """How many wait, by the label they want."""
        return dict(Counter(one.label for one in self._queue if not one.future.done()))

    def add(self, actor: Actor) -> None:
        """Take in a standby: the most urgent one who waits gets it."""
        if actor.end.link.closed:
            return
        if actor.member.node in self.cordoned:
            self._dismiss(actor)
            return
        fit = (one for one in sorted(self._queue) if one.label in ("", actor.member.label))
        first = next((one for one in fit if not one.future.done()), None)
        if first is None:
            self._idle[actor.member.member_id] = actor
        else:
            self._queue.remove(first)
            self.taken += 1
            first.future.set_result(actor)
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

    async def take(
        self, urgency: int, since_ms: int, *, timeout_s: float, label: str = ""
    ) -> Actor:
        """Get a standby that nobody else gets, on a node with this label if one is given.

        Raises:
            Unavailable: `no_capacity`: none came in time, or too many wait already.
        """
        actor = self._pick(label)
        if actor is not None:
            del self._idle[actor.member.member_id]
            self.taken += 1
            self._on_change()
            return actor
        if urgency == OPENING and self.queued >= self._limit:
            raise _no_capacity()
        future: asyncio.Future[Actor] = asyncio.get_running_loop().create_future()
        self._order += 1
        self._queue.append(_Waiting(urgency, since_ms, self._order, label, future))
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

    def _pick(self, label: str) -> Actor | None:
        fit = [
            actor
            for actor in self._idle.values()
            if not actor.end.link.closed and label in ("", actor.member.label)
        ]
        if len({actor.member.node for actor in fit}) <= 1:
            return next(iter(fit), None)
        loads = self._loads()
        return min(fit, key=lambda actor: loads.get(actor.member.node, 0))

    def _give_up(self, future: asyncio.Future[Actor]) -> None:
        if not future.done():
            future.cancel()
            self._queue = [entry for entry in self._queue if entry.future is not future]
            self._on_change()


def _no_capacity() -> Unavailable:
    return Unavailable(ErrorCode.NO_CAPACITY, "No capacity is free at the moment.")
