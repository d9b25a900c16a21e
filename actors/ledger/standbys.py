"""The standbys that wait for a session, and who waits for a standby."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from actors.link import End
from actors.placement import least_loaded
from broker.errors import ErrorCode, Unavailable
from broker.messages.cluster.members import SessionMember

RESCUE = 0
MOVE = 1
OPENING = 2


@dataclass(eq=False, slots=True)
class Actor:
    """A session actor as the ledger knows it: what it said, its link, what it was given."""

    member: SessionMember
    end: End
    session_id: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it holds nothing, and never did: it takes a session of any account."""
        return self.session_id is None and self.member.account_id is None

    @property
    def waits_again(self) -> bool:
        """Whether it holds nothing, in a process that has held a session of its account."""
        return self.session_id is None and self.member.account_id is not None

    def suits(self, label: str, account_id: str) -> bool:
        """Whether it may take a session of this account that wants this label."""
        member = self.member
        return label in ("", member.label) and member.account_id in (None, account_id)


@dataclass(frozen=True, order=True, slots=True)
class _Waiting:
    urgency: int
    since_ms: int
    order: int
    label: str
    account_id: str
    future: asyncio.Future[Actor]


class Standbys:
    """Gives each standby away once, by comparing and setting in one step of the loop.

    Those who wait are served by urgency, then age: rescues before moves before openings, the
    oldest session first. At most `limit` openings wait. One that has held a session of the account
    is given before one that has held none; of several the one on the node with the fewest sessions
    (`loads`), so that the death of a node costs few. Before all that comes another node than one
    that is rather not to be had, and than those in `closed`, which are to run empty. A standby on
    a node in `cordoned` is `dismissed` instead of being kept, and so is one above `reused_limit`
    that has held a session.
    """

    def __init__(
        self,
        limit: int,
        reused_limit: int,
        on_change: Callable[[], None] = lambda: None,
        dismiss: Callable[[Actor], None] = lambda actor: None,
        loads: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._limit = limit
        self._reused_limit = reused_limit
        self._on_change = on_change
        self._dismiss = dismiss
        self._loads = loads
        self.taken = 0
        """Standbys of any account given away so far: those that must be replaced."""
        self.waited = 0
        """Openings that found no standby so far."""
        self.cordoned: set[str] = set()
        self.closed: frozenset[str] = frozenset()
        self._idle: dict[str, Actor] = {}
        self._queue: list[_Waiting] = []
        self._order = 0

    def __len__(self) -> int:
        """Count those that take a session of any account."""
        return sum(actor.member.account_id is None for actor in self._idle.values())

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
        fit = (one for one in sorted(self._queue) if actor.suits(one.label, one.account_id))
        first = next((one for one in fit if not one.future.done()), None)
        if first is not None:
            self._queue.remove(first)
            self._count(actor)
            first.future.set_result(actor)
        elif actor.waits_again and len(self._idle) - len(self) >= self._reused_limit:
            self._dismiss(actor)
        else:
            self._idle[actor.member.member_id] = actor
        self._on_change()

    def cordon(self, node: str) -> None:
        """Keep no standby on this node any more."""
        self.cordoned.add(node)
        self._dismiss_all(node)

    def vacate(self, closed: Iterable[str], retired: str) -> None:
        """Let nodes run empty; the standbys of `retired` go if no session is there by now."""
        self.closed = frozenset(closed)
        if retired and not self._loads().get(retired):
            self._dismiss_all(retired)

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
        self,
        urgency: int,
        since_ms: int,
        *,
        timeout_s: float,
        account_id: str,
        label: str = "",
        rather_not: str = "",
        on_queued: Callable[[], None] = lambda: None,
    ) -> Actor:
        """Get a standby that nobody else gets, on a node with this label if one is given.

        `on_queued` is called once if there is none and this one waits.

        While this one waits, one that only another account could use makes room for a new one.

        Raises:
            Unavailable: `no_capacity`: none came in time, or too many wait already.
        """
        actor = self._pick(label, account_id, rather_not)
        if actor is not None:
            del self._idle[actor.member.member_id]
            self._count(actor)
            self._on_change()
            return actor
        if urgency == OPENING:
            self.waited += 1
            if self.queued >= self._limit:
                raise _no_capacity()
        future: asyncio.Future[Actor] = asyncio.get_running_loop().create_future()
        self._order += 1
        self._queue.append(_Waiting(urgency, since_ms, self._order, label, account_id, future))
        self._make_room()
        self._on_change()
        on_queued()
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

    def _pick(self, label: str, account_id: str, rather_not: str) -> Actor | None:
        fit = [
            actor
            for actor in self._idle.values()
            if not actor.end.link.closed and actor.suits(label, account_id)
        ]
        fit = [actor for actor in fit if actor.member.node != rather_not] or fit
        fit = [actor for actor in fit if actor.member.node not in self.closed] or fit
        fit = [actor for actor in fit if actor.waits_again] or fit
        return least_loaded(fit, lambda actor: actor.member.node, self._loads)

    def _dismiss_all(self, node: str) -> None:
        for actor in [each for each in self._idle.values() if each.member.node == node]:
            del self._idle[actor.member.member_id]
            self._dismiss(actor)
        self._on_change()

    def _count(self, actor: Actor) -> None:
        if actor.member.account_id is None:
            self.taken += 1

    def _make_room(self) -> None:
        """Dismiss the one that has waited longest for its account: its place may be what lacks."""
        oldest = next((each for each in self._idle.values() if each.waits_again), None)
        if oldest is not None:
            del self._idle[oldest.member.member_id]
            self._dismiss(oldest)

    def _give_up(self, future: asyncio.Future[Actor]) -> None:
        if not future.done():
            future.cancel()
            self._queue = [entry for entry in self._queue if entry.future is not future]
            self._on_change()


def _no_capacity() -> Unavailable:
    return Unavailable(ErrorCode.NO_CAPACITY, "No capacity is free at the moment.")
