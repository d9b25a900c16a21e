"""The bounded queue between a session's messages and one widget's WebSocket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.refusals import CloseCode

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
CLOSE_BOUND_S = 2.0


class Outbox:
    """Writes messages in order; a widget that does not read is closed instead of remembered.

    Overflow rule: nothing is dropped silently. Above the bound everything waiting is dropped and
    the connection closed with 4429; the widget resumes and gets a snapshot. The connection closes
    its outbox; that sends what waits and the close code, or aborts after two seconds.

    A writer task exists only while something waits.
    """

    def __init__(
        self,
        send: Send,
        abort: Callable[[], None],
        *,
        max_bytes: int,
        max_messages: int,
        on_stuck: Callable[[], None],
    ) -> None:
        self._send = send
        self._abort = abort
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._on_stuck = on_stuck
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._closing: tuple[int, str] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._closer: asyncio.TimerHandle | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes handed over and not yet taken by the WebSocket."""
        return self._bytes

    def put(self, data: bytes) -> None:
        """Queue one message; ignored once closed."""
        if self._closing is not None:
            return
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes > self._max_bytes or len(self._waiting) > self._max_messages:
            self._on_stuck()
        elif self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def close(self, code: int, reason: str) -> None:
        """Send what waits, then the close code; harmless when closed."""
        if self._closing is not None:
            return
        self._closing = (code, reason[:120])
        if code == CloseCode.TOO_FAST_OR_SLOW:
            self._waiting.clear()
        loop = asyncio.get_running_loop()
        self._closer = loop.call_later(CLOSE_BOUND_S, self._abort_if_writing)
        if self._writer is None:
            self._writer = loop.create_task(self._write())

    async def finished(self) -> None:
        """Wait for the writer; its owner calls this once the WebSocket is gone or closed."""
        writer = self._writer
        if writer is not None:
            await asyncio.wait((writer,), timeout=CLOSE_BOUND_S)
            if not writer.done():
                self._abort()
                writer.cancel()
                await asyncio.wait((writer,))
        if self._closer is not None:
            self._closer.cancel()

    async def _write(self) -> None:
        send, waiting = self._send, self._waiting
        try:
            while waiting:
                data = waiting.popleft()
                await send({"type": "websocket.send", "text": data.decode()})
                self._bytes -= len(data)
            if self._closing is not None:
                code, reason = self._closing
                await send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:
            # The WebSocket is gone; its reader knows. Uvicorn's ClientDisconnected is an OSError.
            waiting.clear()
        finally:
            self._writer = None

    def _abort_if_writing(self) -> None:
        if self._writer is not None:
            self._abort()
