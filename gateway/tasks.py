"""Ending a task that its owner started."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended.

    Raises:
        Exception: what it failed with, before or as it ended.
    """
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
