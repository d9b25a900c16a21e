"""Ending a task that its owner started."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended; who is cancelled meanwhile waits no longer.

    Raises:
        Exception: what it failed with, before or as it ended.
    """
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
