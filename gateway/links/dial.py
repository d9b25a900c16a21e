"""Dial a link on asyncio: the thin shell around `broker.link.DiallingEnd`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

from broker.errors import ErrorCode, Unavailable
from broker.link import DiallingEnd
from gateway.links.trunk_tls import SERVER_NAME, trunk_tls

End: TypeAlias = DiallingEnd["asyncio.Future[bytes]"]


async def dial(
    host: str,
    port: int,
    key: bytes,
    hello: bytes,
    *,
    timeout_s: float,
    prepare: Callable[[End], None],
) -> tuple[End, bytes]:
    """Connect, prove, and return the end with the body of its READY.

    `prepare` sets the end's handlers before anything can arrive: frames that follow READY in the
    same segment are handled before the caller is resumed.

    Raises:
        Unavailable: refused by the kernel, reset, or not ready in time (`session_away`).
        SwitchboardError: what the far end answered instead of READY.
    """
    loop = asyncio.get_running_loop()
    end: End = DiallingEnd(key, hello, loop.create_future)
    prepare(end)
    is_taken = False
    try:
        async with asyncio.timeout(timeout_s):
            # A FrameLink has the methods of asyncio.Protocol without importing asyncio.
            context = trunk_tls(key).dialling(host)
            await loop.create_connection(
                lambda: cast("asyncio.Protocol", end.link),
                host,
                port,
                ssl=context,
                server_hostname=SERVER_NAME if context is not None else None,
            )
            ready = await end.ready
        is_taken = True
        return end, ready
    except TimeoutError:
        raise Unavailable(ErrorCode.SESSION_AWAY, "The far end did not answer in time.") from None
    except OSError as error:
        raise Unavailable(ErrorCode.SESSION_AWAY, "The far end cannot be reached.") from error
    finally:
        # Also when it was ready, and its caller was cancelled or out of time that very moment.
        if not is_taken:
            end.ready.cancel()
            end.link.abort()
