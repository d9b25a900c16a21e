"""Sessions that nobody holds and nobody comes back to: looked for once, and given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from actors.ledger.live import Directory, Live
from actors.ledger.policy import LedgerPolicy
from actors.ledger.probe import Verdict, probe
from actors.ledger.rescue import Rescue
from actors.link import Tls
from broker.errors import SwitchboardError, Unavailable
from broker.words import EndReason

SOUGHT_AT_ONCE = 64
"""Holders that are looked for side by side."""

_log = logging.getLogger(__name__)


class LostSessions:
    """Ends them in their records, as often as the keeper asks."""

    def __init__(
        self,
        directory: Directory,
        rescue: Rescue,
        policy: LedgerPolicy,
        now_ms: Callable[[], int],
        load: Callable[[], Awaitable[None]],
        tls: Tls | None = None,
    ) -> None:
        """`load` takes up what the database has and the directory lacks."""
        self._directory = directory
        self._rescue = rescue
        self._policy = policy
        self._now_ms = now_ms
        self._load = load
        self._tls = tls
        self._is_ending = False

    async def end(self) -> list[str]:
        """End the sessions that nobody holds and nobody comes back to; return their ids.

        Whose people still ask waits for a standby, however long the queue is: what a node held may
        be more than the reserve, and is taken up at the rate at which standbys start. A session
        whose actor may live has people whom nobody tells to ask, where that actor cannot reach this
        ledger: it is continued by another.

        Raises:
            Unavailable: `ledger_away`.
        """
        if self._is_ending:
            # The keeper asks again before the answers are here.
            return []
        self._is_ending = True
        try:
            # A transaction whose outcome was unknown may have left a session that memory lacks.
            await self._load()
            for live in self._directory:
                if live.ends_as is not None:
                    self._rescue.begin(live)
            now_ms = self._now_ms()
            lost = [live for live in self._directory if self._is_lost(live, now_ms)]
            given_up = [live for live in lost if live.sought]
            ended = [live.session_id for live in given_up if await self._lose(live)]
            found = await self._seek(live for live in lost if not live.sought)
            for live, may_live in found.items():
                if may_live:
                    self._rescue.begin(live)
                elif await self._lose(live):
                    ended.append(live.session_id)
            return ended
        finally:
            self._is_ending = False

    async def _seek(self, lost: Iterable[Live]) -> dict[Live, bool]:
        """Look once for the holders of sessions before those are given up; say whose may live.

        Only a refused connection says that it does not. Those count as asked for from now on. Of a
        session that somebody comes back to meanwhile nothing is said: it is on its way.
        """
        gate = asyncio.Semaphore(SOUGHT_AT_ONCE)

        async def may_live(live: Live) -> bool:
            if live.host is None or live.port is None:
                return False
            async with gate:
                verdict = await probe(
                    live.host, live.port, None, timeout_s=self._policy.probe_s, tls=self._tls
                )
            return verdict is not Verdict.DEAD

        before = {}
        async with asyncio.TaskGroup() as group:
            for live in lost:
                live.ask(self._now_ms())
                task = group.create_task(may_live(live))
                before[live] = (live.asks, live.rescue, task)
        found = {}
        for live, (asks, rescue, task) in before.items():
            live.sought = True
            if (live.asks, live.rescue) == (asks, rescue) and live.holder is None:
                found[live] = task.result()
        return found

    async def _lose(self, live: Live) -> bool:
        """End a session as lost unless somebody holds it by now; say whether it was."""
        if live.holder is not None or live.ended:
            return False
        if live.rescue is not None:
            live.rescue.cancel()
        try:
            await self._rescue.end(live, EndReason.LOST)
        except Unavailable:
            # The database is away: the others would wait for it as long.
            raise
        except SwitchboardError as error:
            _log.warning(
                "A lost session could not be ended.",
                extra={"session_id": live.session_id, "why": str(error)},
            )
            return False
        return True

    def _is_lost(self, live: Live, now_ms: int) -> bool:
        policy = self._policy
        return live.ends_as is None and live.is_lost(
            now_ms, policy.lost_after_ms, policy.lost_at_last_ms
        )
