"""People who ask all the time and come back by themselves, as their pages do."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from websockets.exceptions import WebSocketException

from broker.words import Capability
from tests.chaos.street import Ended, resumed
from tests.chaos.town import MOVED_S
from tests.patience import PATIENCE
from tests.widget import WAIT_S, Message, Refused, Widget, insisted

ASK_EVERY_S = 0.1
CHANGE_EVERY = 12
"""Every so many questions one changes the journal."""
SETTLE_S = 2.0 * PATIENCE
"""An answer that has not come so long after a move does not come, and its question is said again:
what is called unanswered (`docs/operations.md`)."""
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changes the journal once, however often it is said, and its trace there."""

    type_: str
    fields: dict[str, object]
    trace: str


Changing = Callable[[int], Change]
"""Says what the next change is, of how many there were."""


def mode(number: int) -> Change:
    """Go on with voice, the next time with video again."""
    said = "video" if number % 2 else "voice"
    return Change("media.mode", {"mode": said}, said)


def rights_of(participant_id: str) -> Changing:
    """Take somebody's right to show a screen, the next time give it back: no picture stops."""

    def rights(number: int) -> Change:
        said = [Capability.SEND_AUDIO, Capability.SEND_VIDEO]
        if number % 2:
            said.append(Capability.SEND_SCREEN)
        fields: dict[str, object] = {"participant_id": participant_id, "capabilities": said}
        return Change("participant.grant", fields, " ".join(sorted(said)))

    return rights


def traces(events: Iterable[dict[str, Any]]) -> list[str]:
    """Read from a record what busy people changed."""
    found = []
    for event in events:
        match event["type"]:
            case "participant.mode_changed":
                found.append(event["body"]["mode"])
            case "participant.capabilities_changed":
                found.append(" ".join(sorted(event["body"]["capabilities"])))
    return found


def are_kept(acknowledged: list[str], found: list[str]) -> bool:
    """Whether each acknowledged change is in the record, once and in order.

    One more may be: the last may have been asked and not answered when its person stopped.
    """
    return found[: len(acknowledged)] == acknowledged and len(found) <= len(acknowledged) + 1


class Busy:
    """Somebody in a call whose widget asks something all the time, and comes back by itself."""

    def __init__(
        self,
        widget: Widget,
        origins: Sequence[str],
        *,
        change: Changing | None = None,
        streams: bool = False,
        answered_s: float = WAIT_S,
    ) -> None:
        """`change` says what the journal is changed by, time after time.

        `answered_s`: an answer that does not come for so long on a connection that lasts is missed.
        """
        self._answered_s = answered_s
        self.widget = self._resumable = widget
        self._before: list[Message] = []
        self.streams = streams
        self.changed: list[str] = []
        """Changes of the journal that were acknowledged, by their traces."""
        self.gaps: dict[str, float] = {}
        """The longest time between two answers of the session's actor alone, by what was being done
        to the cluster."""
        self.saves: dict[str, float] = {}
        """The same of changes, from the question on: their answers wait for the ledger."""
        self.phase = "calm"
        self.returns = 0
        self.unanswered: list[str] = []
        """Questions that were on their way when the session moved, and were said again."""
        self.page = origins[0]
        """The page it stands on, which is the deployment's origin."""
        self._change = change
        self._origins = itertools.cycle(origins)

    def connection(self) -> Widget:
        """The widget that this person has now."""
        return self.widget

    @property
    def heard(self) -> list[Message]:
        """What this person was told so far, by whichever connection."""
        return self._before + self.widget.heard

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        for number in itertools.count(1):
            if self._change is not None and number % CHANGE_EVERY == 0:
                change, waits, begun = self._change(len(self.changed)), self.saves, loop.time()
                if await self.ask(change.type_, **change.fields):
                    self.changed.append(change.trace)
            else:
                camera, waits, begun = self.streams or bool(number % 2), self.gaps, answered
                await self.ask("media.publish", microphone=True, camera=camera, screen=False)
            answered = loop.time()
            waits[self.phase] = max(waits.get(self.phase, 0.0), answered - begun)
            await asyncio.sleep(ASK_EVERY_S)

    async def ask(self, type_: str, **fields: object) -> bool:
        """Ask until it is answered; False: it must wait for the ledger, the call goes on.

        Raises:
            Refused: for good.
            TimeoutError: it was neither answered nor refused for good in time.
        """
        return await insisted(partial(self._ask_once, type_, **fields))

    async def _ask_once(self, type_: str, **fields: object) -> bool:
        """Say it, under one id, until it is answered. Raises Refused."""
        request_id = secrets.token_hex(8)
        try:
            while not await self._answered(type_, id=request_id, **fields):
                pass
        except Refused as refusal:
            if refusal.code != "ledger_away":
                raise
            return False
        return True

    async def _answered(self, type_: str, **fields: object) -> bool:
        """Say it once; False: it was lost on its way, and is to be said again. Raises Refused."""
        try:
            return await self._answered_here(type_, **fields)
        except WebSocketException:
            pass
        except AssertionError:
            if self.widget.closed is None:
                raise  # It waits for an answer that does not come.
        try:
            await self._come_back()
        except Ended:
            # Only what was asked can have ended it: its answer was lost with the connection.
            if type_ != "session.end":
                raise
            return True
        return False

    async def _answered_here(self, type_: str, **fields: object) -> bool:
        """The same on the connection that there is; False: the way to the actor went with it."""
        marked, widget = len(self.widget.heard), self.widget
        loop = asyncio.get_running_loop()
        renewed_at: float | None = None
        asked = asyncio.create_task(widget.request(type_, limit_s=self._answered_s, **fields))
        try:
            while not (await asyncio.wait([asked], timeout=LOOK_S))[0]:
                news = widget.types()[marked:]
                if type_ == "session.end" and "session.ended" in news:
                    # The actor died between the end and its word about it; the gateway told it.
                    return True
                # As a widget does, also where the same actor has a new trunk and nothing moved.
                if renewed_at is None and "resume.renewed" in news:
                    renewed_at = loop.time()
                if renewed_at is not None and loop.time() - renewed_at > SETTLE_S:
                    self.unanswered.append(f"{type_} while {self.phase}, heard {news}")
                    return False
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
                    again = await resumed(self._resumable, next(self._origins), page=self.page)
                    self._before += self.widget.heard
                    self.widget = again
                    self.returns += 1
                    return
                except (OSError, WebSocketException, AssertionError, Refused):
                    await asyncio.sleep(0.02)
