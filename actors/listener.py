"""The listening side: a port that takes links from whoever proves the key."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from actors.link import Future, ListenedEnd, Tls, promise
from broker.link import ListeningEnd
from broker.trunk import NONCE_BYTES


class _Refusing(asyncio.Protocol):
    """Takes the connections above the bound, or after the end, and drops them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


class Listener:
    """Takes links on one port. `close()` ends the port and every link that came through it.

    A link has `handshake_s` to prove the key; at most `max_unproven` may be at it, further ones
    are dropped at once, so that strangers cannot use up descriptors.
    """

    def __init__(
        self,
        key: bytes,
        on_hello: Callable[[ListenedEnd, bytes], None],
        *,
        handshake_s: float = 2.0,
        max_unproven: int = 256,
        max_links: int = 50_000,
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
        self._key = key
        self._on_hello = on_hello
        self._handshake_s = handshake_s
        self._max_unproven = max_unproven
        self._max_links = max_links
        self._unproven: dict[ListenedEnd, asyncio.TimerHandle] = {}
        self._proven: set[ListenedEnd] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    async def start(self, host: str, port: int) -> int:
        """Listen, also anew after `close()`; returns the port, which the system chooses for 0."""
        self._closed = False
        loop = asyncio.get_running_loop()
        context = None if self._tls is None else self._tls.listening(host)
        making = asyncio.ensure_future(
            loop.create_server(
                self._make,
                host,
                port,
                backlog=1024,
                ssl=context,
                ssl_handshake_timeout=self._handshake_s if context is not None else None,
            )
        )
        try:
            self._server = await asyncio.shield(making)
        except asyncio.CancelledError:
            # asyncio's own call, cancelled after it bound, would leave the port open. If it could
            # not bind there is none, and who was cancelled asks for nothing else.
            with suppress(OSError):
                (await making).close()
            raise
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop all links; harmless when closed."""
        self._closed = True
        server, self._server = self._server, None
        if server is None:
            return
        # Accept nobody more, and let those in who are at the door, before the server goes: asyncio
        # up to 3.12 loses the socket of a connection that it accepts meanwhile.
        loop = asyncio.get_running_loop()
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
        try:
            await _rounds(2)
        finally:
            # Whoever is cancelled here has still closed.
            server.close()
            for end in [*self._unproven, *self._proven]:
                end.link.abort()
        await server.wait_closed()
        # A link may have still to be told of its connection, give it up, and close its socket.
        await _rounds(3)

    def _make(self) -> asyncio.Protocol:
        if (
            self._closed
            or len(self._unproven) >= self._max_unproven
            or len(self._unproven) + len(self._proven) >= self._max_links
        ):
            return _Refusing()
        end: ListenedEnd = _TrackedEnd(
            self._key, secrets.token_bytes(NONCE_BYTES), self._greet, promise, self._forget
        )
        loop = asyncio.get_running_loop()
        self._unproven[end] = loop.call_later(self._handshake_s, self._expire, end)
        return cast(asyncio.Protocol, end.link)

    def _expire(self, end: ListenedEnd) -> None:
        # A link whose TLS handshake failed was never made, and is never lost either.
        self._unproven.pop(end, None)
        end.link.abort()

    def _greet(self, end: ListenedEnd, hello: bytes) -> None:
        timer = self._unproven.pop(end, None)
        if timer is not None:
            timer.cancel()
        self._proven.add(end)
        self._on_hello(end, hello)

    def _forget(self, end: ListenedEnd) -> None:
        timer = self._unproven.pop(end, None)
        if timer is not None:
            timer.cancel()
        self._proven.discard(end)


class _TrackedEnd(ListeningEnd[Future]):
    """A listening end whose listener hears of its loss whatever `on_lost` its owner sets."""

    def __init__(
        self,
        key: bytes,
        nonce: bytes,
        on_hello: Callable[[ListenedEnd, bytes], None],
        make_promise: Callable[[], Future],
        forget: Callable[[ListenedEnd], None],
    ) -> None:
        super().__init__(key, nonce, on_hello, make_promise)
        self._forget = forget

    def _on_link_lost(self, link: Any) -> None:
        self._forget(self)
        super()._on_link_lost(link)


async def _rounds(count: int) -> None:
    """Let the loop do what is due, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)
