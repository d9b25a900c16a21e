"""`/v1/connect`: from a WebSocket handshake to a connection of the switchroom."""

from __future__ import annotations

import asyncio
import secrets

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from broker.close_codes import CloseCode
from broker.errors import ErrorCode, Forbidden, Malformed, SwitchboardError
from broker.messages import SUBPROTOCOL
from gateway.connections.connection import Connection
from gateway.connections.switchroom import Switchroom
from gateway.connections.websocket_protocol import PIPE
from gateway.origins import address_of, allowed_origins, origin_allowed
from gateway.refusals import close_code_of, refused


class Connect:
    """The ASGI endpoint of widget WebSockets; needs the server of `gateway.serve`.

    A refusal that should not be retried is said after accepting, because a browser tells a page
    nothing about a refused handshake. A full or stopping gateway refuses the handshake itself,
    which costs least and is retried.
    """

    def __init__(self, room: Switchroom) -> None:
        self._room = room
        self._origins = allowed_origins(room.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        room = self._room
        address = address_of(scope)
        if room.stopping or room.refusal(address) is not None:
            await send({"type": "websocket.close", "code": CloseCode.GOING_AWAY})
            return
        headers = Headers(scope=scope)
        offered = SUBPROTOCOL in scope.get("subprotocols", ())
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offered else None})
        error: SwitchboardError | None = None
        if not origin_allowed(headers.get("origin"), self._origins):
            error = Forbidden(ErrorCode.ORIGIN_REFUSED, "This page's origin may not connect.")
        elif not offered:
            error = Malformed(
                ErrorCode.PROTOCOL_UNSUPPORTED, f"Offer the WebSocket subprotocol {SUBPROTOCOL}."
            )
        if error is not None:
            room.metrics.refusals.labels(code=str(error.code)).inc()
            await send({"type": "websocket.send", "text": refused(error, None).decode()})
            await send(
                {
                    "type": "websocket.close",
                    "code": int(close_code_of(error)),
                    "reason": error.message,
                }
            )
            return
        connection = Connection(
            secrets.token_hex(12),
            room,
            receive,
            send,
            scope["extensions"][PIPE],
            asyncio.get_running_loop().time(),
            address,
        )
        room.on_accepted(connection)
        await connection.run()
