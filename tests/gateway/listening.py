"""What the fakes of the cluster share: links that are really accepted, and waiting for them."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

from broker.link import LinkEnd, ListeningEnd
from tests.patience import PATIENCE

Future = asyncio.Future[bytes]
End = LinkEnd["asyncio.Future[bytes]"]
WAIT_S = 5.0 * PATIENCE


class Signal:
    """Lets a test wait until something is true; whoever changes something calls `changed`."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Event] = set()

    def changed(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def until(self, holds: Callable[[], object]) -> None:
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(WAIT_S):
                while not holds():
                    waiter.clear()
                    await waiter.wait()
        finally:
            self._waiters.discard(waiter)


class Listening(ABC):
    """A TCP listener of links; base of both fakes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._server: asyncio.Server | None = None
        self.ends: list[ListeningEnd[Future]] = []
        self.signal = Signal()
        self.port = 0

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: cast("asyncio.Protocol", self._make().link), "127.0.0.1", port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die: refuse new links and reset those there are."""
        if self._server is not None:
            self._server.close()
        for end in self.ends:
            end.link.abort()
        await self.signal.until(lambda: not self.ends)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def _make(self) -> ListeningEnd[Future]:
        loop = asyncio.get_running_loop()
        end: ListeningEnd[Future] = ListeningEnd(
            self._key, secrets.token_bytes(32), self.on_hello, loop.create_future
        )
        end.on_lost = self._on_lost
        self.prepare(end)
        self.ends.append(end)
        return end

    def _on_lost(self, end: End) -> None:
        self.ends.remove(cast("ListeningEnd[Future]", end))
        self.on_lost(end)
        self.signal.changed()

    @abstractmethod
    def prepare(self, end: ListeningEnd[Future]) -> None: ...

    @abstractmethod
    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None: ...

    @abstractmethod
    def on_lost(self, end: End) -> None: ...


@asynccontextmanager
async def running(task: Awaitable[None]) -> AsyncIterator[None]:
    """Own a background task for the length of a block."""
    owned = asyncio.ensure_future(task)
    try:
        yield
    finally:
        owned.cancel()
        with suppress(asyncio.CancelledError):
            await owned
