"""People who ask all the time and come back by themselves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from websockets.exceptions import WebSocketException

from tests.chaos.street import resumed
from tests.chaos.town import MOVED_S
from tests.widget import Refused, Widget

ASK_EVERY_S = 0.1
CHANGE_EVERY = 12
"""Every so many questions one changes the journal."""
SETTLE_S = 0.5
"""An answer that has not come so long after a move does not come."""


class Busy:
    """Somebody in a call whose widget asks something all the time, and comes back by itself."""

    def __init__(
        self, widget: Widget, origins: Sequence[str], *, changes: bool, streams: bool = False
    ) -> None:
        self.widget = self._resumable = widget
        self.changes = changes
        self.streams = streams
        self.modes: list[str] = []
        """Changes of the journal that were acknowledged."""
        self.gaps: dict[str, float] = {}
        """The longest time between two answers, by what was being done to the cluster."""
        self.phase = "calm"
        self.returns = 0
        self.unanswered = 0
        """Questions that were on their way when the session moved, and were asked again."""
        self.page = origins[0]
        """The page it stands on, which is the deployment's origin."""
        self._origins = itertools.cycle(origins)

    def connection(self) -> Widget:
        """The widget that this person has now."""
        return self.widget

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        for number in itertools.count(1):
            if self.changes and number % CHANGE_EVERY == 0:
                mode = "voice" if self.modes[-1:] != ["voice"] else "video"
                if await self.ask("media.mode", mode=mode):
                    self.modes.append(mode)
            else:
                camera = self.streams or bool(number % 2)
                await self.ask("media.publish", microphone=True, camera=camera, screen=False)
            now = loop.time()
            self.gaps[self.phase] = max(self.gaps.get(self.phase, 0.0), now - answered)
            answered = now
            await asyncio.sleep(ASK_EVERY_S)

    async def ask(self, type_: str, **fields: object) -> bool:
        """Ask until it is answered; False: it must wait for the ledger, the call goes on.

        Raises:
            TimeoutError: it was neither answered nor refused for good within `MOVED_S`.
        """
        async with asyncio.timeout(MOVED_S):
            return await self._ask_without_end(type_, **fields)

    async def _ask_without_end(self, type_: str, **fields: object) -> bool:
        while True:
            try:
                if await self._answered(type_, **fields):
                    return True
            except Refused as refusal:
                if refusal.code == "ledger_away":
                    return False
                if not refusal.retryable:
                    raise
                await asyncio.sleep(0.02)
            except WebSocketException:
                await self._come_back()
            except AssertionError:
                if self.widget.closed is None:
                    raise  # It waits for an answer that does not come.
                await self._come_back()

    async def _answered(self, type_: str, **fields: object) -> bool:
        """Ask once; False when the session moved meanwhile and took the question with it."""
        marked, widget = len(self.widget.heard), self.widget
        moved = False
        asked = asyncio.create_task(widget.request(type_, **fields))
        try:
            while not (await asyncio.wait([asked], timeout=SETTLE_S))[0]:
                if moved:
                    self.unanswered += 1
                    return False
                news = widget.types()[marked:]
                if type_ == "session.end" and "session.ended" in news:
                    # The actor died between the end and its word about it; the gateway told it.
                    return True
                moved = "session.moved" in news
            await asked
            return True
        finally:
            asked.cancel()

    async def _come_back(self) -> None:
        """Resume through whichever gateway takes it, as the widget's own code does."""
        if any(m["type"] == "resume.renewed" for m in self.widget.heard):
            self._resumable = self.widget
        async with asyncio.timeout(MOVED_S):
            while True:
                try:
                    self.widget = await resumed(
                        self._resumable, next(self._origins), page=self.page
                    )
                    self.returns += 1
                    return
                except (OSError, WebSocketException, AssertionError, Refused):
                    await asyncio.sleep(0.02)
