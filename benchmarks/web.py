"""How floors and peers serve: FastAPI and uvicorn, like the gateway."""

from __future__ import annotations

import asyncio

import uvicorn
from fastapi import FastAPI

from benchmarks.serving import listening_socket, say_ready, until_told

WEBSOCKET_PROTOCOL = "websockets-sansio"


async def serve(app: FastAPI) -> None:
    """Serve an application on a free port until told to stop."""
    sock = listening_socket()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            ws=WEBSOCKET_PROTOCOL,
            ws_per_message_deflate=False,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    say_ready(port=sock.getsockname()[1])
    await until_told()
    server.should_exit = True
    await serving
