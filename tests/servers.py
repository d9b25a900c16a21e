"""Ends of servers that lose no connection."""

from __future__ import annotations

import asyncio


async def stop_accepting(server: asyncio.Server) -> None:
    """Close the port once every connection that came through it has begun to be served.

    Closed at once, asyncio loses who was accepted a moment ago: the task that would serve it, and
    close it, is cancelled with the test's loop before it has begun.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    # It is made, told of its transport, and served: each in a turn of the loop.
    for _ in range(4):
        await asyncio.sleep(0)
    server.close()
