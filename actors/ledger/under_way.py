"""A session that is being opened, and whether who asked for it still waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from actors.ledger.presence import Watching
from actors.ledger.standbys import OPENING, Actor, Standbys
from broker.errors import ErrorCode, Gone
from broker.ids import same_agent
from broker.messages.cluster.sessions import SessionOpen

Tell = Callable[[Watching[Any], float], None]


class UnderWay:
    """One opening: taken back for good by `withdraw`, put off while its agent's widgets are gone.

    A widget is gone in every reload, and for as long as its network is: what its agent has begun
    waits then, without a place in the queue, and goes on when a widget of theirs is back at the
    engagement. Nothing is concluded from a connection that was never seen to watch.
    """

    def __init__(self, ask: SessionOpen, tell: Tell) -> None:
        """`tell` is told, as `on_queued` of `standby` is, of a page that came in another's place:
        how many seconds the opening waits at most; zero when it is over without a session."""
        self.ask = ask
        self._tell = tell
        self._heir: Watching[Any] | None = None
        """The page that came in the place of the one that asked."""
        self._until: float | None = None
        """When it is answered, once it waits."""
        self.connection_id = ask.connection_id
        """Whose it is now: the page that asked, or that came in its place."""
        self.withdrawn = False
        self.over = asyncio.Event()
        """Set when the opening has been answered."""
        self._there = asyncio.Event()
        self._there.set()
        self._was_seen = False
        self._waits: asyncio.Timeout | None = None

    def withdraw(self) -> None:
        """Have it end without a session; what is made of it by now is to be ended."""
        self.withdrawn = True
        self._there.set()
        self._interrupt()

    def look(self, watching: Iterable[Watching[Any]]) -> None:
        """See whether the agent who asked is at the engagement, of those who watch it.

        What a backend asked for waits for nobody: its agent may have no widget open yet.
        """
        if self.ask.connection_id is None:
            return
        theirs = {each.connection_id: each for each in watching if self._is_theirs(each)}
        if theirs:
            if self.connection_id not in theirs:
                self.connection_id, self._heir = list(theirs.items())[-1]
                self._tell_heir()
            self._was_seen = True
            self._there.set()
        elif self._was_seen and not self.withdrawn:
            self._there.clear()
            self._interrupt()

    async def standby(
        self,
        standbys: Standbys,
        since_ms: int,
        deadline: float,
        on_queued: Callable[[float], None],
    ) -> Actor:
        """Wait for a standby, with the age of the opening, while one is wanted.

        `deadline` is a time of the loop; `on_queued` is told how many seconds are left until then,
        as often as a wait begins.

        Raises:
            Gone: `withdrawn`: it was taken back, or nobody came back for it in time.
            Unavailable: `no_capacity`.
        """
        loop = asyncio.get_running_loop()
        while True:
            if not self._there.is_set():
                await self._until_there(deadline)
            if self.withdrawn:
                raise withdrawn()
            left_s = max(0.0, deadline - loop.time())
            found = await self._unless_gone(
                standbys.take(
                    OPENING,
                    since_ms,
                    timeout_s=left_s,
                    account_id=self.ask.account_id,
                    label=self.ask.label,
                    on_queued=partial(self._on_queued, deadline, partial(on_queued, left_s)),
                )
            )
            if found is not None and self._there.is_set() and not self.withdrawn:
                return found
            if found is not None:
                # It came just before the word to stop.
                standbys.add(found)

    def fail(self) -> None:
        """It is over without a session: who asked is answered, who came later is told."""
        if self._heir is not None and self._until is not None:
            self._tell(self._heir, 0.0)

    def _on_queued(self, deadline: float, on_queued: Callable[[], None]) -> None:
        self._until = deadline
        if self._heir is None:
            on_queued()
        else:
            self._tell_heir()

    def _tell_heir(self) -> None:
        if self._heir is not None and self._until is not None:
            left_s = self._until - asyncio.get_running_loop().time()
            self._tell(self._heir, max(0.0, left_s))

    async def _until_there(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                while not self._there.is_set():
                    await self._there.wait()
        except TimeoutError:
            raise withdrawn() from None

    async def _unless_gone(self, waiting: Awaitable[Actor]) -> Actor | None:
        """Wait for one; `None`, and no longer, when it is not to go on."""
        try:
            async with asyncio.timeout(None) as self._waits:
                return await waiting
        except TimeoutError:
            return None
        finally:
            self._waits = None

    def _interrupt(self) -> None:
        if self._waits is not None:
            self._waits.reschedule(asyncio.get_running_loop().time())

    def _is_theirs(self, watching: Watching[Any]) -> bool:
        return watching.connection_id == self.connection_id or same_agent(
            watching.starter_id, self.ask.owner.agent_id
        )


def withdrawn() -> Gone:
    """What a start is answered that was taken back."""
    return Gone(ErrorCode.WITHDRAWN, "The start was taken back.")
