"""What sessions let out before it was saved, kept here until a ledger or a successor has it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from functools import partial

from broker.errors import (
    ErrorCode,
    Gone,
    Internal,
    Malformed,
    NotFound,
    SwitchboardError,
    Unavailable,
)
from broker.messages.cluster.tenure import SessionUnsaved
from broker.messages.cluster.trunk import Location
from gateway.links.directory import Directory
from gateway.links.nobody import dial_as_nobody
from gateway.settings import Settings

logger = logging.getLogger(__name__)

LOOK_S = 2.0
LOOKS_AT_ONCE = 8
"""Sessions looked for at one time: one that cannot be reached holds up no other for long."""
TRIES = 3
"""With one actor that cannot take it: of an older release, or by a mistake of ours."""


class UnsavedCourier:
    """Keeps for each session what its actor could not save, and brings it to the next actor.

    An actor that is cut off from the ledger acts at once on what reduces exposure. If another
    continues the session before that is saved, this gateway says it there before it lets anybody
    in; and also where nobody comes any more, as after an end. The switchroom owns it and runs it;
    what is on its way then is cancelled.
    """

    def __init__(self, directory: Directory, settings: Settings, trunk_key: bytes) -> None:
        self._directory = directory
        self._settings = settings
        self._trunk_key = trunk_key
        self._kept: OrderedDict[str, SessionUnsaved] = OrderedDict()
        self._untaken: dict[str, tuple[int, int]] = {}
        """By session: the epoch of an actor that could not take it, and how often it was tried."""
        self._on_its_way: dict[str, asyncio.Task[None]] = {}
        self._grew = asyncio.Event()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, said: SessionUnsaved) -> None:
        """Take an actor's word, which replaces what it or an earlier tenure said before."""
        before = self._kept.get(said.session_id)
        if before is not None and before.epoch > said.epoch:
            return
        if said.entries:
            self._kept[said.session_id] = said
            self._grew.set()
            # As many sessions as may have a widget here; while the ledger is away none begins.
            if len(self._kept) > self._settings.limits.connections:
                forgotten = next(iter(self._kept.values()))
                self._forget(forgotten)
                logger.error("unsaved forgotten", extra={"session_id": forgotten.session_id})
        elif before is not None and before.epoch == said.epoch:
            self._forget(before)

    async def bring(self, location: Location) -> None:
        """Have the actor there know what an earlier tenure did; nothing to do is done at once.

        Nobody waits for an actor that could not take it once.

        Raises:
            SwitchboardError: it is not there, or the session is over.
        """
        kept = self._kept.get(location.session_id)
        if kept is not None and kept.epoch < location.epoch and not self._tried(location):
            with suppress(Malformed, Internal):
                await self._bring(location)

    async def run(self) -> None:
        """Bring what nobody comes back for, until cancelled."""
        try:
            while True:
                await self._grew.wait()
                self._grew.clear()
                while self._kept:
                    await asyncio.sleep(LOOK_S)
                    if self._directory.ready:
                        await self._look_for_all()
        finally:
            tasks = tuple(self._on_its_way.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_for_all(self) -> None:
        rest = iter(list(self._kept.values()))

        async def look() -> None:
            for kept in rest:
                await self._look(kept)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(LOOKS_AT_ONCE, len(self._kept))):
                group.create_task(look())

    async def _look(self, kept: SessionUnsaved) -> None:
        facts = {"session_id": kept.session_id}
        try:
            location = await self._locate(kept)
            if location is not None and self._tried(location) < TRIES:
                await self._bring(location)
        except SwitchboardError as error:
            # Looked for again.
            logger.info("unsaved not brought", extra={**facts, "code": str(error.code)})
        except Exception:
            # A mistake about one session must not cost the others, nor the gateway its heartbeat.
            logger.exception("unsaved not brought", extra=facts)

    async def _locate(self, kept: SessionUnsaved) -> Location | None:
        """Find the session. When it is over, by the ledger's word, nothing is kept of it; an actor
        that does not know it says only that it has moved on."""
        try:
            return await self._directory.locate(kept.session_id, None)
        except (Gone, NotFound):
            self._forget(kept)
            return None

    async def _bring(self, location: Location) -> None:
        """Say it once at a time: who comes meanwhile waits for the same, and shares how it ends."""
        session_id = location.session_id
        while (kept := self._kept.get(session_id)) is not None and kept.epoch <= location.epoch:
            task = self._on_its_way.get(session_id)
            if task is None:
                task = asyncio.create_task(self._say(kept, location), name="unsaved-bring")
                self._on_its_way[session_id] = task
                task.add_done_callback(partial(self._arrived, session_id))
            # Whoever waits may go; the others still do.
            await asyncio.shield(task)

    def _arrived(self, session_id: str, task: asyncio.Task[None]) -> None:
        del self._on_its_way[session_id]
        if not task.cancelled():
            # Said to whoever waited; perhaps nobody does any more.
            task.exception()

    async def _say(self, kept: SessionUnsaved, location: Location) -> None:
        limits = self._settings.limits
        end = await dial_as_nobody(
            location, self._trunk_key, self._settings.gateway_id, limits.dial_timeout_s
        )
        facts = {"session_id": kept.session_id, "epoch": location.epoch}
        try:
            async with asyncio.timeout(limits.call_timeout_s):
                await end.call(kept.method, kept.to_bytes())
        except TimeoutError:
            raise Unavailable(ErrorCode.SESSION_AWAY, "The session did not answer.") from None
        except (Malformed, Internal) as error:
            # It is kept for the next actor, until the ledger says that the session is over.
            self._untaken[kept.session_id] = location.epoch, self._tried(location) + 1
            logger.error("unsaved not taken", extra={**facts, "code": str(error.code)})
            raise
        finally:
            end.close()
        logger.info("unsaved brought", extra=facts)
        self._forget(kept)

    def _tried(self, location: Location) -> int:
        """How often this actor could not take what is kept for it."""
        epoch, tries = self._untaken.get(location.session_id, (0, 0))
        return tries if epoch == location.epoch else 0

    def _forget(self, kept: SessionUnsaved) -> None:
        if self._kept.get(kept.session_id) is kept:
            del self._kept[kept.session_id]
            self._untaken.pop(kept.session_id, None)
