"""Uvicorn's WebSocket protocol with one addition: a peer that does not read can be cut off.

ASGI has no way to end a TCP connection whose send buffer never drains. The one module that knows
the class behind `uvicorn`'s `websockets-sansio`; `tests/gateway/test_websocket_protocol.py` is its
canary.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.connect import ABORT_EXTENSION


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Puts `abort` into the extensions of the connection's scope."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            # The app's task was created just now and has not run yet.
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[ABORT_EXTENSION] = self.transport.abort
