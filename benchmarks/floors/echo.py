"""The floor of signalling: a bare FastAPI WebSocket gateway with one trunk hop behind it.

Each WebSocket has a connection of its own to the process behind, as each widget has a trunk.
There is no meaning, no check and no bound: written as plainly as FastAPI lets it be, a
queue and a task for the way back included. Who writes to sockets with less between is below it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.serving import run
from benchmarks.web import serve
from broker.trunk import Frame, FrameLink


def application(path: str, port_of: Callable[[WebSocket], int]) -> FastAPI:
    """Pass each WebSocket of a path on to a port of loopback, and back."""
    app = FastAPI()

    @app.websocket(path)
    async def connect(socket: WebSocket) -> None:
        loop = asyncio.get_running_loop()
        replies: asyncio.Queue[bytes] = asyncio.Queue()

        def end() -> asyncio.BaseProtocol:
            return FrameLink(  # type: ignore[return-value]
                lambda link, kind, body: replies.put_nowait(body), lambda link: None
            )

        transport, protocol = await loop.create_connection(end, "127.0.0.1", port_of(socket))
        assert isinstance(protocol, FrameLink)

        async def pump() -> None:
            while True:
                await socket.send_text((await replies.get()).decode())

        await socket.accept()
        pumping = asyncio.create_task(pump())
        try:
            with suppress(WebSocketDisconnect):
                while True:
                    text = await socket.receive_text()
                    protocol.send(Frame.MESSAGE, text.encode())
        finally:
            pumping.cancel()
            transport.close()

    return app


def main(hop_port: int) -> None:
    run(lambda: serve(application("/v1/connect", lambda socket: hop_port)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
