"""Uvicorn's WebSocket protocol, with a way to write without a task and to cut off a dead peer.

ASGI's `send` is a coroutine: a message that arrives by trunk would need a task to be written, which
is a third of its way through the gateway (measured: p50 of a round trip, floor x 1.3 with a writer
task). And ASGI cannot end a TCP connection whose send buffer never drains. This is the one module
that knows the class behind `websockets-sansio`; `tests/gateway/test_websocket_protocol.py` is its
canary.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import OPEN

PIPE = "switchboard.pipe"
"""The scope extension that holds a connection's pipe."""


class WebSocketPipe:
    """The way out of one WebSocket; see `gateway.outbox.Pipe`."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: WebSocketsSansIOProtocol) -> None:
        self._protocol = protocol

    @property
    def unsent_bytes(self) -> int:
        """Bytes the kernel has not taken yet."""
        return self._protocol.transport.get_write_buffer_size()

    def send_text(self, data: bytes) -> None:
        """Write one text message; ignored once either side has begun to close."""
        protocol = self._protocol
        conn = protocol.conn
        if conn.state is OPEN and not protocol.transport.is_closing():
            conn.send_text(data)
            protocol.transport.write(b"".join(conn.data_to_send()))

    def abort(self) -> None:
        """End the TCP connection at once."""
        self._protocol.transport.abort()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Puts a pipe into the extensions of each connection's scope."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            # The app's task was created just now and has not run yet.
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[PIPE] = WebSocketPipe(self)
