"""How soon uvicorn stops in tests.

It looks ten times a second whether it shall, and then lets another tenth pass for its connections'
sake. Some six hundred servers of tests end so one after the other, while nothing else happens.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn.server

PAUSE_S = 0.1
"""Uvicorn's, in both places."""
SOON_S = 0.01


class _Sooner:
    """The module `asyncio`, in which uvicorn's pause is shorter."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(SOON_S if delay == PAUSE_S else delay)


def stop_soon() -> None:
    """Let every uvicorn of this process stop soon from now on."""
    setattr(uvicorn.server, "asyncio", _Sooner())  # noqa: B010
