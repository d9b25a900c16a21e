"""Whether the tenure is still this actor's, after its process stood still (design-runtime §4).

A holder that leaves a probe unanswered for `LedgerPolicy.probe_s` may be followed by another, and
cannot know. So its relay falls silent, and begins again when the ledger takes an append of the
epoch. Where no ledger is to be had a call goes on by the word of a gateway: it drops the trunks of
an actor that it finds silent, and of a lower epoch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from actors.session.journal import JournalStore
from broker.errors import Conflict
from broker.messages.cluster.tenure import JournalAppend

if TYPE_CHECKING:
    from actors.session.live import LiveSession

_LOG = logging.getLogger(__name__)
ASK_S = 1.0
"""How long the ledger may take before a gateway is asked. What it said `LedgerPolicy.probe_s` ago
says nothing: it has lain here while the process stood still once more.
"""
ANSWER_S = 0.5
AGAIN_S = 0.1

Heard = Callable[[float], Awaitable[bool]]
"""Whether a gateway has answered within so many seconds."""


async def nobody_hears(timeout_s: float) -> bool:
    del timeout_s
    return False


class TenureCheck:
    """Asks until it is known, one question at a time. Closed by its session."""

    def __init__(self, session: LiveSession, store: JournalStore, heard: Heard) -> None:
        self._session = session
        self._store = store
        self._heard = heard
        self._task: asyncio.Task[None] | None = None

    def begin(self, stalled_s: float) -> None:
        """Find out whether the relay may go on; harmless while that is being found out."""
        _LOG.warning(
            "stood still",
            extra={"session_id": self._session.session_id, "seconds": round(stalled_s, 3)},
        )
        if not self._session.over and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="session-tenure")

    async def close(self) -> None:
        """Ask no more; harmless when closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while not await self._is_ours():  # noqa: ASYNC110 - the ledger's news, or a gateway's
                await asyncio.sleep(AGAIN_S)
        except Conflict:
            _LOG.warning("session fenced", extra={"session_id": self._session.session_id})
            self._session.on_fenced()
            return
        if not self._session.over:
            self._session.media.go_on()

    async def _is_ours(self) -> bool:
        """Ask the ledger, or else a gateway. Raises Conflict: it is another's."""
        session = self._session
        nothing = JournalAppend(session_id=session.session_id, epoch=session.epoch, entries=[])
        try:
            async with asyncio.timeout(ASK_S):
                await self._store.append(nothing)
        except Conflict:
            raise
        except Exception as error:
            # As in the journal: whatever it is, also a mistake of ours, a session goes on asking.
            _LOG.info(
                "tenure not confirmed",
                extra={"session_id": session.session_id, "error": type(error).__name__},
            )
            return await self._heard(ANSWER_S)
        return True
