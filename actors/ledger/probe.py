"""Whether an actor is alive: asked at its trunk port, and on its link if it has one.

A refused connection is a death; silence is a suspicion, which fencing makes safe to act on.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

from actors.link import SERVER_NAME, End, Tls
from broker.trunk import Frame

_STEP_S = 0.02


class Verdict(StrEnum):
    """What a probe found."""

    ALIVE = "alive"
    DEAD = "dead"
    SILENT = "silent"


async def probe(
    host: str, port: int, end: End | None, *, timeout_s: float, tls: Tls | None = None
) -> Verdict:
    """Ask an actor for a sign of life, on both ways at once."""
    greeting = asyncio.ensure_future(_greets(host, port, timeout_s, tls))
    pong = asyncio.ensure_future(_answers(end, timeout_s))
    try:
        verdict = await greeting
        if verdict is Verdict.SILENT and await pong:
            return Verdict.ALIVE
        return verdict
    finally:
        greeting.cancel()
        pong.cancel()
        await asyncio.gather(greeting, pong, return_exceptions=True)


async def _greets(host: str, port: int, timeout_s: float, tls: Tls | None) -> Verdict:
    """Connect as a gateway would; a live actor speaks first."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            context = None if tls is None else tls.dialling(host)
            name = None if context is None else SERVER_NAME
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=name
            )
            head = await reader.readexactly(5)
            return Verdict.ALIVE if head[4] == Frame.CHALLENGE else Verdict.SILENT
    except ConnectionRefusedError:
        return Verdict.DEAD
    except (OSError, EOFError):  # TimeoutError is an OSError
        return Verdict.SILENT
    finally:
        if writer is not None:
            writer.transport.abort()


async def _answers(end: End | None, timeout_s: float) -> bool:
    """Whether the link says anything after a ping."""
    if end is None or end.link.closed:
        return False
    heard = end.heard
    end.ping()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while loop.time() < deadline and not end.link.closed:
        if end.heard != heard:
            return True
        await asyncio.sleep(_STEP_S)
    return False
