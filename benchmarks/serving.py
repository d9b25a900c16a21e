"""What every child of the harness does: say that it is ready, and end when its input closes.

FastAPI is elsewhere (`benchmarks.web`): loads and hops need none, and it takes 0.3 s to import.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop


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


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a server's main coroutine on uvloop; an interrupt ends it quietly."""

    async def body() -> None:
        await main()

    try:
        uvloop.run(body())
    except KeyboardInterrupt:
        sys.exit(0)
