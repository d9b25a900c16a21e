"""How floors and peers serve: uvicorn on uvloop like the gateway, until standard input closes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable

import uvicorn
import uvloop
from fastapi import FastAPI

WEBSOCKET_PROTOCOL = "websockets-sansio"


def listening_socket() -> socket.socket:
    """Bind a free port on loopback."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def say_ready(**facts: object) -> None:
    """Print the line that the harness waits for."""
    print(json.dumps({"ready": True, **facts}), flush=True)


async def until_told() -> None:
    """Wait until the harness closes standard input."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def on_input() -> None:
        if not os.read(0, 4096):
            closed.set()

    loop.add_reader(0, on_input)
    await closed.wait()
    loop.remove_reader(0)


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


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a server's main coroutine on uvloop; an interrupt ends it quietly."""

    async def body() -> None:
        await main()

    try:
        uvloop.run(body())
    except KeyboardInterrupt:
        sys.exit(0)
