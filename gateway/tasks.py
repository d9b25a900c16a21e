"""Tasks of an owner: how one goes on, and how it is ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

_LOG = logging.getLogger(__name__)


async def repeat(step: Callable[[], Awaitable[object]], pause_s: float) -> NoReturn:
    """Take a step again and again, until cancelled; one that fails is logged and ends nothing.

    What runs beside a gateway must not be its end, which on one machine is that of every call.
    """
    while True:
        try:
            await step()
        except Exception:
            _LOG.exception("a step failed")
        await asyncio.sleep(pause_s)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended; who is cancelled meanwhile waits no longer.

    Raises:
        Exception: what it failed with, before or as it ended.
    """
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
