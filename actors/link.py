"""Links on asyncio, from the actors' side: dialling, calling and answering.

The protocol is `broker.link`; this module adds sockets and deadlines.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol, TypeVar, cast

from broker.errors import ErrorCode, Internal, Malformed, SwitchboardError, Unavailable
from broker.link import DiallingEnd, LinkEnd, ListeningEnd, Reply
from broker.messages.cluster.base import ClusterMessage, read

Future = asyncio.Future[bytes]
End = LinkEnd[Future]
ListenedEnd = ListeningEnd[Future]
DialledEnd = DiallingEnd[Future]
M = TypeVar("M", bound=ClusterMessage)
CallHandler = Callable[[str, bytes], Awaitable[ClusterMessage]]
"""Answers a call of the far end: method and payload in, the reply's model out."""
_log = logging.getLogger(__name__)


SERVER_NAME = "switchboard"
"""What a TLS handshake asks for; the certificate itself is pinned."""
READ_S = 0.02
"""Longer than a loop takes to read what lies in its sockets."""


class Tls(Protocol):
    """Says which links are encrypted, and how; the composition root knows."""

    def listening(self, host: str) -> ssl.SSLContext | None: ...
    def dialling(self, host: str) -> ssl.SSLContext | None: ...


class Request(Protocol):
    """A model that can be called: it names its method."""

    method: ClassVar[str]

    def to_bytes(self) -> bytes: ...


def promise() -> Future:
    """Make the future of a reply on the running loop."""
    return asyncio.get_running_loop().create_future()


async def call(end: End, request: Request, reply: type[M], *, timeout_s: float) -> M:
    """Call the far end of a link.

    A process that was itself held up until its deadline had passed reads first what has come
    meanwhile: it would take the far end for dead otherwise, which costs a standby its session. The
    far end may have been held up with it, and has for its answer as long as this one was late, but
    no longer than `timeout_s` once more.

    Raises:
        SwitchboardError: what the far end answered, or Unavailable (`ledger_away`) when the link
            is lost or nothing comes in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    replied = end.call(request.method, request.to_bytes())
    try:
        await asyncio.wait((replied,), timeout=timeout_s)
        if not replied.done():
            late_s = min(loop.time() - deadline, timeout_s)
            await asyncio.wait((replied,), timeout=late_s + READ_S)
        if not replied.done():
            raise Unavailable(ErrorCode.LEDGER_AWAY, "No reply came in time.")
    finally:
        replied.cancel()
    return read(reply, replied.result())


async def answer(reply: Reply, method: str, payload: bytes, handler: CallHandler) -> None:
    """Answer one call with what `handler` gives; errors outside the tree become `internal`."""
    try:
        reply.done((await handler(method, payload)).to_bytes())
    except SwitchboardError as error:
        reply.fault(error)
    except ValueError:  # pydantic's ValidationError is one
        _log.warning("A call could not be read.", extra={"method": method}, exc_info=True)
        reply.fault(Malformed(ErrorCode.MALFORMED, "The call does not fit its method."))
    except Exception:
        _log.exception("A call failed.", extra={"method": method})
        reply.fault(Internal(ErrorCode.INTERNAL, "The call failed."))


async def dial(
    host: str,
    port: int,
    key: bytes,
    hello: bytes,
    *,
    timeout_s: float = 2.0,
    tls: Tls | None = None,
    prepare: Callable[[DialledEnd], None] | None = None,
) -> tuple[DialledEnd, bytes]:
    """Connect, prove the key and return the link and the READY body.

    `prepare` sets the handlers before the first byte can arrive.

    Raises:
        OSError: nobody listens there.
        Unavailable: no READY in time, or the link was lost before it.
        SwitchboardError: why the far end refused.
    """
    end: DialledEnd = DiallingEnd(key, hello, promise)
    if prepare is not None:
        prepare(end)
    loop = asyncio.get_running_loop()
    made = False
    try:
        async with asyncio.timeout(timeout_s):
            context = None if tls is None else tls.dialling(host)
            await loop.create_connection(
                lambda: cast(asyncio.Protocol, end.link),
                host,
                port,
                ssl=context,
                server_hostname=SERVER_NAME if context is not None else None,
            )
            made = True
            return end, await end.ready
    except BaseException as error:
        end.link.abort()
        if not made:
            end.ready.cancel()
        if isinstance(error, TimeoutError):
            raise Unavailable(ErrorCode.SESSION_AWAY, "No handshake in time.") from None
        raise
