"""A brand's webhook receiver: small, real on the wire, and as unreliable as a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from actors.keeper.signature import HEADER, verify
from tests.servers import stop_accepting

SECRET = b"s" * 32


class Receiver:
    """Takes POSTs; `status` decides what to answer to each event."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.secret = secret
        self.status: Callable[[dict[str, Any]], int] = lambda event: 200
        self.before: Callable[[], Awaitable[object]] | None = None
        """What is waited for before each answer."""
        self.location: str | None = None
        """Where a redirect leads."""
        self.events: list[dict[str, Any]] = []
        """Those that were answered with 200."""
        self.heads: list[dict[str, str]] = []
        self.tries = 0
        self.connections = 0
        self.said = b""
        """The body of each answer."""
        self.silent_behind = False
        """Whether the body, which is announced, never comes."""
        self.unsigned = 0
        self.now_s = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0, context: ssl.SSLContext | None = None) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        if self._server is not None:
            await stop_accepting(self._server)
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    def of(self, session_id: str) -> list[int]:
        return [event["seq"] for event in self.events if event["session_id"] == session_id]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = self._fields(head)
                body = await reader.readexactly(int(fields["content-length"]))
                self.tries += 1
                if self.before is not None:
                    await self.before()
                writer.write(self._answer(fields, body))
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _fields(self, head: bytes) -> dict[str, str]:
        lines = head.decode().split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def _answer(self, fields: dict[str, str], body: bytes) -> bytes:
        if not verify(self.secret, fields[HEADER.lower()], body, now_s=self.now_s):
            self.unsigned += 1
        event = json.loads(body)
        status = self.status(event)
        if status == 200:
            self.events.append(event)
            self.heads.append(fields)
        extra = f"Location: {self.location}\r\n" if self.location else ""
        length = len(self.said) + self.silent_behind
        return (
            f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {length}\r\n\r\n".encode() + self.said
        )
