"""Session actors in one process, one after another (design-runtime §2).

Starting a process costs more than a second of a processor, so one whose session ended well becomes
a standby again, for the same account. Nothing is carried over: the session actor is made anew with
its listener, ports, certificate, ids and link, and the one before is dropped whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from actors import memory
from actors.relay import rehearse
from actors.session.actor import SessionActor
from actors.session.config import SessionConfig

_LOG = logging.getLogger(__name__)


class MakeActor(Protocol):
    """Makes a session actor that says when it is over."""

    def __call__(self, config: SessionConfig, on_over: Callable[[], None]) -> SessionActor: ...


class Succession:
    """The session actors of one process. `run` closes each, also when it is cancelled."""

    def __init__(
        self,
        config: SessionConfig,
        make: MakeActor,
        *,
        reuse_limit: int,
        settle: Callable[[], None] = memory.settle,
    ) -> None:
        """Reuse the process at most `reuse_limit` times; `settle` is called before each is made."""
        self._config = config
        self._make = make
        self._left = reuse_limit
        self._settle = settle
        self._over = asyncio.Event()
        self._actor: SessionActor | None = None

    async def start(self) -> str:
        """Rehearse, and enlist the first as a standby; returns its member id."""
        await rehearse(self._config.relay)
        return await self._begin(self._config)

    async def run(self) -> None:
        """Go on until a session actor is over and no other may follow it; close it then."""
        following: SessionConfig | None = self._config
        while following is not None:
            following = await self._outlive()
            if following is not None:
                await self._begin(following)

    async def _outlive(self) -> SessionConfig | None:
        """Wait for the end of the one at hand and drop it; returns what the next begins with."""
        actor = self._actor
        if actor is None:
            return None
        try:
            await self._over.wait()
        finally:
            self._actor = None
            await actor.close()
        return self._following(actor)

    async def _begin(self, config: SessionConfig) -> str:
        # What was closed has its last callbacks in the loop's next turn. Until then they refer to
        # the whole session before, and what is frozen with it is collected no more.
        await asyncio.sleep(0)
        self._settle()
        self._over = asyncio.Event()
        self._actor = actor = self._make(config, self._over.set)
        await actor.start()
        return actor.member_id

    def _following(self, actor: SessionActor) -> SessionConfig | None:
        account_id = actor.reusable_for
        if account_id is None or self._left <= 0:
            return None
        self._left -= 1
        _LOG.info("standing by again", extra={"account_id": account_id, "left": self._left})
        return replace(
            self._config,
            account_id=account_id,
            relay=replace(self._config.relay, left_port=actor.media_port),
        )
