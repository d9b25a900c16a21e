"""A member's link to the ledger: heartbeats, and coming back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from actors.chores import Chores
from actors.link import CallHandler, DialledEnd, End, M, Request, Tls, answer, call, dial
from broker.errors import ErrorCode, Malformed, Unavailable
from broker.link import Reply
from broker.messages.cluster.base import ClusterMessage, read
from broker.messages.cluster.members import LinkHello

_log = logging.getLogger(__name__)


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
    call_s: float = 5.0
    """How long a call may take whose caller does not say."""


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
        hello: LinkHello,
        *,
        enlist: Callable[[LedgerLink], Awaitable[None]] | None = None,
        on_call: CallHandler | None = None,
        on_notice: Callable[[str, bytes], None] | None = None,
        on_down: Callable[[], None] | None = None,
        timing: LinkTiming | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
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
        self._unanswered = 0
        self._chores = Chores(limit=1_000)
        self._keeping: asyncio.Task[None] | None = None
        self.term = 0
        """The term of the ledger last spoken to."""

    @property
    def is_up(self) -> bool:
        """Whether calls go out at once."""
        return self._up.is_set()

    @property
    def answers(self) -> bool:
        """Whether it is up and has not left two heartbeats in a row unanswered."""
        return self.is_up and self._unanswered < 2

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
        timeout: float | None = None,  # noqa: ASYNC109 - one bound over wait and reply
    ) -> M:
        """Call the ledger, waiting for the link if it is down: `timeout` seconds for both.

        Without one it is `LinkTiming.call_s`.

        A call whose link is lost is not repeated: whether it took effect is unknown.

        Raises:
            Unavailable: `ledger_away`.
            SwitchboardError: what the ledger answered.
        """
        timeout_s = self._timing.call_s if timeout is None else timeout
        deadline = asyncio.get_running_loop().time() + timeout_s
        end = await self._usable(deadline)
        return await call(
            end, request, reply, timeout_s=deadline - asyncio.get_running_loop().time()
        )

    def notify(self, method: str, body: ClusterMessage) -> bool:
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
            tls=self._tls,
            prepare=self._prepare,
        )
        self._end = end
        self.term = read(_Term, ready).term
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
        heard, self._unanswered = -1, 0
        while not self._lost.is_set() and self._unanswered < timing.silent_beats:
            self._unanswered = self._unanswered + 1 if end.heard == heard else 0
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
                try:
                    self._on_down()
                except Exception:
                    # A mistake of the owner's must not cost it the link for good.
                    _log.exception("The link's owner failed.")

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        if self._call_handler is None:
            reply.fault(Malformed(ErrorCode.MALFORMED, "This member takes no calls."))
        elif self._chores.start(answer(reply, method, payload, self._call_handler)) is None:
            reply.fault(Unavailable(ErrorCode.SHUTTING_DOWN, "Too many calls, or closing."))

    def _on_notice(self, end: End, method: str, payload: bytes) -> None:
        if self._notice_handler is not None:
            self._notice_handler(method, payload)


class _Term(ClusterMessage):
    """READY body of a ledger link."""

    term: int
