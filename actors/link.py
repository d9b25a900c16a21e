"""Links on asyncio, from the actors' side: dialling, listening, and the link to the ledger.

The protocol is `broker.link`; this module adds sockets, deadlines, heartbeats and reconnecting.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, cast

from broker.errors import ErrorCode, Internal, Malformed, SwitchboardError, Unavailable
from broker.link import DiallingEnd, LinkEnd, ListeningEnd, Reply
from broker.messages import cluster
from broker.trunk import NONCE_BYTES

Future = asyncio.Future[bytes]
End = LinkEnd[Future]
ListenedEnd = ListeningEnd[Future]
DialledEnd = DiallingEnd[Future]
M = TypeVar("M", bound=cluster.Internal)

CallHandler = Callable[[str, bytes], Awaitable[cluster.Internal]]
"""Answers a call of the far end: method and payload in, the reply's model out."""

_log = logging.getLogger(__name__)


class Request(Protocol):
    """A model that can be called: it names its method."""

    method: ClassVar[str]

    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """When a link is given up and tried again, in seconds."""

    handshake_s: float = 2.0
    heartbeat_s: float = 1.0
    """How often a link that should be alive is asked."""
    silent_beats: int = 3
    """A link that left this many in a row unanswered is lost. Counted in beats, not in seconds:
    a process that was itself held up must first read what has come meanwhile."""
    backoff_first_s: float = 0.05
    backoff_last_s: float = 1.0


class Chores:
    """Tasks that run beside their owner, at most `limit` at once.

    The owner calls `close()`, which cancels them and waits; a chore that fails is logged.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run `work`; `None`, and not run, when there are too many or the owner has closed."""
        if self._closed or len(self._tasks) >= self._limit:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def close(self) -> None:
        """Cancel all and wait for them; harmless when closed."""
        self._closed = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("A chore failed.", exc_info=task.exception())


def promise() -> Future:
    """Make the future of a reply on the running loop."""
    return asyncio.get_running_loop().create_future()


async def call(end: End, request: Request, reply: type[M], *, timeout_s: float) -> M:
    """Call the far end of a link.

    Raises:
        SwitchboardError: what the far end answered, or Unavailable (`ledger_away`) when the link
            is lost or nothing comes in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            payload = await end.call(request.method, request.to_bytes())
    except TimeoutError:
        raise Unavailable(ErrorCode.LEDGER_AWAY, "No reply came in time.") from None
    return cluster.read(reply, payload)


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
            await loop.create_connection(lambda: cast(asyncio.Protocol, end.link), host, port)
            made = True
            return end, await end.ready
    except BaseException as error:
        end.link.abort()
        if not made:
            end.ready.cancel()
        if isinstance(error, TimeoutError):
            raise Unavailable(ErrorCode.SESSION_AWAY, "No handshake in time.") from None
        raise


class _Refusing(asyncio.Protocol):
    """Takes the connections above the bound, and drops them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


class Listener:
    """Takes links on one port. `close()` ends the port and every link that came through it.

    A link has `handshake_s` to prove the key; at most `max_unproven` may be at it, further ones
    are dropped at once, so that strangers cannot use up descriptors.
    """

    def __init__(
        self,
        key: bytes,
        on_hello: Callable[[ListenedEnd, bytes], None],
        *,
        handshake_s: float = 2.0,
        max_unproven: int = 256,
        max_links: int = 50_000,
    ) -> None:
        self._key = key
        self._on_hello = on_hello
        self._handshake_s = handshake_s
        self._max_unproven = max_unproven
        self._max_links = max_links
        self._unproven: dict[ListenedEnd, asyncio.TimerHandle] = {}
        self._proven: set[ListenedEnd] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses for 0."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make, host, port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop all links; harmless when closed."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for end in [*self._unproven, *self._proven]:
            end.link.abort()
        await server.wait_closed()

    def _make(self) -> asyncio.Protocol:
        if (
            len(self._unproven) >= self._max_unproven
            or len(self._unproven) + len(self._proven) >= self._max_links
        ):
            return _Refusing()
        end: ListenedEnd = _TrackedEnd(
            self._key, secrets.token_bytes(NONCE_BYTES), self._greet, promise, self._forget
        )
        loop = asyncio.get_running_loop()
        self._unproven[end] = loop.call_later(self._handshake_s, end.link.abort)
        return cast(asyncio.Protocol, end.link)

    def _greet(self, end: ListenedEnd, hello: bytes) -> None:
        timer = self._unproven.pop(end, None)
        if timer is not None:
            timer.cancel()
        self._proven.add(end)
        self._on_hello(end, hello)

    def _forget(self, end: ListenedEnd) -> None:
        timer = self._unproven.pop(end, None)
        if timer is not None:
            timer.cancel()
        self._proven.discard(end)


class _TrackedEnd(ListeningEnd[Future]):
    """A listening end whose listener hears of its loss whatever `on_lost` its owner sets."""

    def __init__(
        self,
        key: bytes,
        nonce: bytes,
        on_hello: Callable[[ListenedEnd, bytes], None],
        make_promise: Callable[[], Future],
        forget: Callable[[ListenedEnd], None],
    ) -> None:
        super().__init__(key, nonce, on_hello, make_promise)
        self._forget = forget

    def _on_link_lost(self, link: Any) -> None:
        self._forget(self)
        super()._on_link_lost(link)


class LedgerLink:
    """A member's link to the ledger; comes back by itself, and says again who it is.

    `resolve` gives the ledger's address anew for each try. `enlist` runs on every new link before
    it counts as up, and may call on it. `on_call` answers the ledger's calls, `on_notice` takes
    its notices in order. The owner calls `close()`, which ends the link and the handlers it
    started.
    """

    def __init__(
        self,
        resolve: Callable[[], Awaitable[tuple[str, int]]],
        key: bytes,
        hello: cluster.LinkHello,
        *,
        enlist: Callable[[LedgerLink], Awaitable[None]] | None = None,
        on_call: CallHandler | None = None,
        on_notice: Callable[[str, bytes], None] | None = None,
        on_down: Callable[[], None] | None = None,
        timing: LinkTiming | None = None,
    ) -> None:
        self._resolve = resolve
        self._key = key
        self._hello = hello
        self._enlist = enlist
        self._call_handler = on_call
        self._notice_handler = on_notice
        self._on_down = on_down
        self._timing = timing or LinkTiming()
        self._end: DialledEnd | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._was_up = False
        self._chores = Chores(limit=1_000)
        self._keeping: asyncio.Task[None] | None = None
        self.term = 0
        """The term of the ledger last spoken to."""

    @property
    def is_up(self) -> bool:
        """Whether calls go out at once."""
        return self._up.is_set()

    async def start(self) -> None:
        """Begin dialling; returns at once. See `wait_up`."""
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def wait_up(self, timeout_s: float) -> None:
        """Wait for the link. Raises Unavailable (`ledger_away`) when it takes too long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is away.") from None

    async def close(self) -> None:
        """End the link for good; harmless when closed."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await self._chores.close()

    async def call(
        self,
        request: Request,
        reply: type[M],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - one bound over the wait for the link and the reply
    ) -> M:
        """Call the ledger, waiting for the link if it is down: `timeout` seconds for both.

        A call whose link is lost is not repeated: whether it took effect is unknown.

        Raises:
            Unavailable: `ledger_away`.
            SwitchboardError: what the ledger answered.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        end = await self._usable(deadline)
        return await call(
            end, request, reply, timeout_s=deadline - asyncio.get_running_loop().time()
        )

    def notify(self, method: str, body: cluster.Internal) -> bool:
        """Tell the ledger something; False when the link is down."""
        return self._end is not None and self._end.notify(method, body.to_bytes())

    def drop(self) -> None:
        """Cut the present link, if there is one; a new one is dialled."""
        if self._end is not None:
            self._end.link.abort()

    async def _usable(self, deadline: float) -> DialledEnd:
        """Return a link that takes calls; always waits for one that is on its way out, so that
        a caller that tries again and again lets the loop go on."""
        # While `enlist` runs the link exists and is not up: its own calls go through.
        enlisting = self._enlisting()
        while True:
            remaining_s = deadline - asyncio.get_running_loop().time()
            if not enlisting:
                await self.wait_up(remaining_s)
            end = self._end
            if end is not None and not end.link.closed:
                return end
            if end is None or enlisting:
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is away.")
            try:
                async with asyncio.timeout(remaining_s):
                    await self._lost.wait()
            except TimeoutError:
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is away.") from None

    def _enlisting(self) -> bool:
        return self._end is not None and asyncio.current_task() is self._keeping

    async def _keep(self) -> None:
        wait = self._timing.backoff_first_s
        while True:
            try:
                await self._connect()
                wait = self._timing.backoff_first_s
                await self._watch()
            except Exception as error:
                # Whatever a resolver or the enlisting raises, a member without a link is no
                # member: it goes on trying.
                _log.info("The link to the ledger is down.", extra={"why": repr(error)})
            finally:
                self._fall()
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._timing.backoff_last_s)

    async def _connect(self) -> None:
        host, port = await self._resolve()
        self._lost.clear()
        end, ready = await dial(
            host,
            port,
            self._key,
            self._hello.to_bytes(),
            timeout_s=self._timing.handshake_s,
            prepare=self._prepare,
        )
        self._end = end
        self.term = cluster.read(_Term, ready).term
        if self._enlist is not None:
            await self._enlist(self)
        if not end.link.closed:
            self._was_up = True
            self._up.set()

    def _prepare(self, end: DialledEnd) -> None:
        end.on_call = self._on_call
        end.on_notice = self._on_notice
        end.on_lost = self._on_lost

    async def _watch(self) -> None:
        """Return when the link is lost or silent."""
        end = self._end
        assert end is not None
        timing = self._timing
        heard, unanswered = -1, 0
        while not self._lost.is_set() and unanswered < timing.silent_beats:
            unanswered = unanswered + 1 if end.heard == heard else 0
            heard = end.heard
            end.ping()
            try:
                async with asyncio.timeout(timing.heartbeat_s):
                    await self._lost.wait()
            except TimeoutError:
                pass

    def _on_lost(self, end: End) -> None:
        if end is self._end or self._end is None:
            self._up.clear()
            self._lost.set()

    def _fall(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end.link.abort()
        self._up.clear()
        if self._was_up:
            self._was_up = False
            if self._on_down is not None:
                self._on_down()

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        if self._call_handler is None:
            reply.fault(Malformed(ErrorCode.MALFORMED, "This member takes no calls."))
        elif self._chores.start(answer(reply, method, payload, self._call_handler)) is None:
            reply.fault(Unavailable(ErrorCode.SHUTTING_DOWN, "Too many calls, or closing."))

    def _on_notice(self, end: End, method: str, payload: bytes) -> None:
        if self._notice_handler is not None:
            self._notice_handler(method, payload)


class _Term(cluster.Internal):
    """READY body of a ledger link."""

    term: int
