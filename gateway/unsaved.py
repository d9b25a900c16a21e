"""What sessions let out before it was saved, kept here until a ledger or a successor has it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

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
from gateway.directory import Directory
from gateway.nobody import dial_as_nobody
from gateway.settings import Settings

logger = logging.getLogger(__name__)

LOOK_S = 2.0


class Unsaved:
    """Keeps for each session what its actor could not save, and brings it to the next actor.

    An actor that is cut off from the ledger acts at once on what reduces exposure. If another
    continues the session before that is saved, this gateway says it there before it lets anybody
    in; and also where nobody comes any more, as after an end. The switchroom owns it and runs it.
    """

    def __init__(self, directory: Directory, settings: Settings, trunk_key: bytes) -> None:
        self._directory = directory
        self._settings = settings
        self._trunk_key = trunk_key
        self._kept: OrderedDict[str, SessionUnsaved] = OrderedDict()
        self._bringing: dict[str, asyncio.Lock] = {}
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
                forgotten, _ = self._kept.popitem(last=False)
                logger.error("unsaved forgotten", extra={"session_id": forgotten})
        elif before is not None and before.epoch == said.epoch:
            del self._kept[said.session_id]

    async def bring(self, location: Location) -> None:
        """Have the actor there know what an earlier tenure did; nothing to do is done at once.

        Raises:
            SwitchboardError: it is not there, or the session is over.
        """
        kept = self._kept.get(location.session_id)
        if kept is not None and kept.epoch < location.epoch:
            await self._bring(location)

    async def run(self) -> None:
        """Bring what nobody comes back for, until cancelled."""
        while True:
            await self._grew.wait()
            self._grew.clear()
            while self._kept:
                await asyncio.sleep(LOOK_S)
                if self._directory.ready:
                    for kept in list(self._kept.values()):
                        await self._look(kept)

    async def _look(self, kept: SessionUnsaved) -> None:
        try:
            await self._bring(await self._directory.locate(kept.session_id, None))
        except (Gone, NotFound) as over:
            if over.code in (ErrorCode.SESSION_ENDED, ErrorCode.UNKNOWN_SESSION):
                self._forget(kept)
        except SwitchboardError as error:
            # Looked for again.
            facts = {"session_id": kept.session_id, "code": str(error.code)}
            logger.info("unsaved not brought", extra=facts)

    async def _bring(self, location: Location) -> None:
        """Say it once at a time: who comes meanwhile is let in after it."""
        lock = self._bringing.setdefault(location.session_id, asyncio.Lock())
        try:
            async with lock:
                kept = self._kept.get(location.session_id)
                if kept is not None and kept.epoch <= location.epoch:
                    await self._say(kept, location)
        finally:
            if not lock.locked():
                self._bringing.pop(location.session_id, None)

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
            # An older release, or a mistake of ours: said again it would fail again, and whoever
            # comes waits for it.
            logger.error("unsaved not taken", extra={**facts, "code": str(error.code)})
        else:
            logger.info("unsaved brought", extra=facts)
        finally:
            end.close()
        self._forget(kept)

    def _forget(self, kept: SessionUnsaved) -> None:
        if self._kept.get(kept.session_id) is kept:
            del self._kept[kept.session_id]
