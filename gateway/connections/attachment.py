"""Find a session's actor and attach a connection to it, through deaths and takeovers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.errors import ErrorCode, SwitchboardError, Unavailable
from broker.messages.cluster.trunk import Location
from gateway.links.directory import Directory
from gateway.settings import Limits

logger = logging.getLogger(__name__)

GONE_FROM_HERE = frozenset(
    {
        ErrorCode.SESSION_AWAY,
        ErrorCode.STALE_EPOCH,
        ErrorCode.UNKNOWN_SESSION,
        ErrorCode.SHUTTING_DOWN,
    }
)
"""What a place says (or does not say) when the session is not there: ask for its new place."""
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0

Attached = TypeVar("Attached")


async def attach(
    try_at: Callable[[Location, int | None], Awaitable[Attached]],
    directory: Directory,
    limits: Limits,
    location: Location,
    *,
    last_seq: int | None,
    is_dead: bool = False,
) -> Attached:
    """Dial the session where it is said to be, and where it has gone since, until attached.

    A place that is dead is reported to the ledger, which answers with the new one; an answer of
    the same epoch means that the actor lives, so it is tried again after a pause. One of a lower
    epoch is out of date, whoever it comes from, and leads nowhere. A new epoch starts with a
    snapshot, so what was seen before does not count.

    Raises:
        Unavailable: not found within `limits.takeover_bound_s`.
        SwitchboardError: refused by the actor, or ended.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + limits.takeover_bound_s
    pause = FIRST_PAUSE_S
    while True:
        if not is_dead:
            try:
                return await try_at(location, last_seq)
            except SwitchboardError as error:
                if error.code not in GONE_FROM_HERE:
                    raise
                logger.info(
                    "session not at its place",
                    extra={
                        "session_id": location.session_id,
                        "epoch": location.epoch,
                        "code": str(error.code),
                    },
                )
        is_dead = False
        try:
            found = await directory.takeover(location)
        except Unavailable as error:
            if loop.time() + pause >= give_up_at:
                raise Unavailable(
                    ErrorCode.SESSION_AWAY, "The session cannot be reached at the moment."
                ) from error
            is_dead = True
        else:
            if found.epoch > location.epoch:
                location, last_seq = found, None
                continue
            if found.epoch == location.epoch:
                location = found
            if loop.time() + pause >= give_up_at:
                raise Unavailable(
                    ErrorCode.SESSION_AWAY, "The session cannot be reached from this gateway."
                )
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
