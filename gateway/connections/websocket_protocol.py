"""Uvicorn's WebSocket protocol, with a way past ASGI, and a way to cut off a dead peer.

ASGI's `send` and `receive` are coroutines: each message would wake a task on its way in and need
one on its way out, and its arrival would pause and resume the socket. And ASGI cannot end a TCP
connection whose send buffer never drains. This is the one module that knows the class behind
`websockets-sansio`; `tests/gateway/test_websocket_protocol.py` is its canary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import OPEN

PIPE = "switchboard.pipe"
"""The scope extension that holds a connection's pipe."""


def text_frame(data: bytes) -> bytes:
    """Write a whole text message as a server's one frame, unmasked (RFC 6455 §5.2)."""
    length = len(data)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + data
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big") + data
    return b"\x81\x7f" + length.to_bytes(8, "big") + data


class WebSocketPipe:
    """The direct way in and out of one WebSocket; see `gateway.connections.outbox.Pipe`."""

    __slots__ = ("_protocol", "on_text")

    def __init__(self, protocol: WebSocketsSansIOProtocol) -> None:
        self._protocol = protocol
        self.on_text: Callable[[bytes], bool] | None = None

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close."""
        protocol = self._protocol
        return protocol.conn.state is OPEN and not protocol.transport.is_closing()

    def send_text(self, data: bytes) -> int:
        """Write one text message; ignored once either side has begun to close."""
        protocol = self._protocol
        conn = protocol.conn
        transport = protocol.transport
        if conn.state is OPEN and not transport.is_closing():
            if conn.extensions:
                conn.send_text(data)
                transport.write(b"".join(conn.data_to_send()))
            else:
                # The library takes 9 us for this, and one event may go to hundreds of widgets.
                transport.write(text_frame(data))
        return transport.get_write_buffer_size()

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
            self._pipe = WebSocketPipe(self)
            extensions[PIPE] = self._pipe

    def send_receive_event_to_app(self) -> None:
        # What ASGI's queue still holds came earlier and must not be overtaken.
        if (
            self.curr_msg_data_type == "text"
            and not self.close_sent
            and self.queue.empty()
            and (on_text := self._pipe.on_text) is not None
            and on_text(self.frames[0] if len(self.frames) == 1 else b"".join(self.frames))
        ):
            self.frames = []
            return
        super().send_receive_event_to_app()
