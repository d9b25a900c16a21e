"""A WebSocket client (RFC 6455) with nothing in it that is not needed to load a server.

The load must cost little beside the server it measures, and a message's time of arrival is taken
in `data_received`, before any task is scheduled. No extensions, text only, sent unfragmented.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _CLOSE, _PING, _PONG = 0, 1, 8, 9, 10


class ClosedByServer(ConnectionError):
    """The server ended the connection; `code` is its close code, 1006 without a close frame."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocket(asyncio.Protocol):
    """One connection. `on_text` gets each message's bytes. Its owner closes it."""

    def __init__(self, host: str, path: str, subprotocol: str | None, origin: str | None) -> None:
        loop = asyncio.get_running_loop()
        self.on_text: Callable[[bytes], None] = lambda text: None
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[int] = loop.create_future()
        self._key = base64.b64encode(os.urandom(16))
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._begun = b""
        """What has come of a message in several frames; Janus sends long ones so."""
        self._code = 1006
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        if subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        if origin is not None:
            lines.append(f"Origin: {origin}")
        self._request = "\r\n".join([*lines, "", ""]).encode()

    def send(self, text: bytes) -> None:
        """Send one text message; nothing happens on a closed connection."""
        self._send_frame(_TEXT, text)

    def close(self, code: int = 1000) -> None:
        """Say goodbye and close; a second close is harmless."""
        if self._transport is not None and not self._transport.is_closing():
            self._send_frame(_CLOSE, code.to_bytes(2, "big"))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods and not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._read_handshake():
            return
        while (frame := self._next_frame()) is not None:
            final, opcode, payload = frame
            if opcode in (_TEXT, _CONTINUATION):
                if not final or self._begun:
                    self._begun += payload
                    if not final:
                        continue
                    payload, self._begun = self._begun, b""
                self.on_text(payload)
            elif opcode == _PING:
                self._send_frame(_PONG, payload)
            elif opcode == _CLOSE:
                self._code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ClosedByServer(1006, "lost during the handshake"))
        if not self.closed.done():
            self.closed.set_result(self._code)

    def _read_handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        accept = base64.b64encode(hashlib.sha1(self._key + _GUID).digest())
        if b" 101 " not in head.split(b"\r\n")[0] + b" " or accept not in head:
            self.opened.set_exception(
                ClosedByServer(1006, head.split(b"\r\n")[0].decode("latin-1"))
            )
            return False
        self.opened.set_result(None)
        return True

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return None
        final, opcode = bool(buffer[0] & 0x80), buffer[0] & 0x0F
        payload = bytes(buffer[start : start + length])
        del buffer[: start + length]
        return final, opcode, payload

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 1 << 16:
            head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
        # A mask of zeros is legal and leaves the payload as it is.
        self._transport.write(head + b"\x00\x00\x00\x00" + payload)


async def connect(
    url: str, *, subprotocol: str | None = None, origin: str | None = None
) -> WebSocket:
    """Open a connection.

    Raises:
        ClosedByServer: the server answered something else than an upgrade.
        TimeoutError: it did not answer within 10 s.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("wss", "https")
    port = parts.port or (443 if secure else 80)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        _, socket = await loop.create_connection(
            lambda: WebSocket(parts.netloc, parts.path or "/", subprotocol, origin),
            parts.hostname or "",
            port,
            ssl=ssl.create_default_context() if secure else None,
        )
        try:
            await socket.opened
        except BaseException:
            socket.close()
            raise
    return socket
