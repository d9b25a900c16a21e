"""The bounded way out to one widget's WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
CLOSE_BOUND_S = 2.0


class Pipe(Protocol):
    """What the server's WebSocket offers beyond ASGI: reading and writing without a task."""

    on_text: Callable[[bytes], bool] | None
    """Is offered each text message before ASGI is; True when it took it."""

    @property
    def is_open(self) -> bool: ...
    def send_text(self, data: bytes) -> int:
        """Write a message; returns how many bytes the kernel has not taken yet."""
        ...

    def abort(self) -> None: ...


class Outbox:
    """Writes messages in order; a widget that does not read is closed instead of remembered.

    Overflow rule: nothing is dropped. Above the bound `on_stuck` closes the connection with 4429
    behind what was written; the widget resumes and gets a snapshot. Its connection closes it: a
    close frame that could not be sent within two seconds becomes an abort.
    """

    def __init__(
        self, pipe: Pipe, send: Send, *, max_bytes: int, on_stuck: Callable[[], None]
    ) -> None:
        self._pipe = pipe
        self._send = send
        self._max_bytes = max_bytes
        self._on_stuck = on_stuck
        self._closing: asyncio.Task[None] | None = None

    def put(self, data: bytes) -> None:
        """Write one message; ignored once closed."""
        if self._closing is not None:
            return
        if self._pipe.send_text(data) > self._max_bytes:
            self._on_stuck()

    def close(self, code: int, reason: str) -> None:
        """Send the close code behind what was written; harmless when closed."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(
                self._close(int(code), reason[:120])
            )

    async def finished(self) -> None:
        """Wait until the close code is sent or given up."""
        if self._closing is not None:
            await asyncio.wait((self._closing,))

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_BOUND_S):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:
            self._pipe.abort()
        except OSError:
            # The WebSocket is gone already. Uvicorn's ClientDisconnected is an OSError.
            pass
