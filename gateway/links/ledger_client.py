"""The directory over a link to the ledger that is replaced whenever it breaks."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from broker.errors import ErrorCode, SwitchboardError, Unavailable
from broker.link import LinkEnd
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import PoolLinked
from broker.messages.cluster.presence import (
    PresenceDisplaced,
    PresenceDrop,
    PresencePut,
    PresenceState,
    PresenceUnwatch,
    PresenceWatch,
)
from broker.messages.cluster.records import (
    RecordGet,
    RecordPage,
    RecordQuery,
    RecordRate,
    SessionRecord,
)
from broker.messages.cluster.sessions import (
    GuestLocate,
    GuestLocated,
    SessionAttach,
    SessionLocate,
    SessionOpen,
    SessionQueued,
    SessionRelocated,
    SessionTakeover,
)
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueAnswer, ColleagueCalled, ColleagueSettled
from broker.messages.sharing import LoginHand, Revocation, RevocationList, Revocations
from broker.tracing import Traces
from gateway.links.dial import End, dial
from gateway.links.directory import Call, Holds, Listener, always
from gateway.settings import Limits
from gateway.tracing import traced

logger = logging.getLogger(__name__)

PING_S = 1.0
SILENT_PINGS = 3
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0
SAID_AT_ONCE = 500
"""Presence said again on a new link, not yet answered: the ledger refuses what is too much."""
REVOCATIONS_AT_ONCE = 5_000
"""So that a page of them fits a frame, however long the ids of accounts are."""
MOST_UNSAID = 1_000
"""Revocations kept while the ledger is away; the oldest is forgotten first."""

Reply = TypeVar("Reply", bound=ClusterMessage)
Resolver = Callable[[], Awaitable[tuple[str, int]]]
"""Finds host and port of the ledger now; raises `Unavailable` while nobody knows."""


class LedgerClient:
    """A gateway's link to the ledger.

    `run` keeps the link and is cancelled by its owner, which closes the link. Calls made while
    the link is away wait for it, within their own time-out. What connections put and watch is
    remembered until `forget`, and said again on every new link; the answers go to the listener.
    """

    def __init__(
        self,
        resolve: Resolver,
        key: bytes,
        hello: LinkHello,
        *,
        limits: Limits | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._resolve = resolve
        self._traces = traces
        self._key = key
        self._hello = hello.to_bytes()
        self._limits = limits or Limits()
        self._end: End | None = None
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._puts: dict[str, PresencePut] = {}
        self._watches: dict[str, PresenceWatch] = {}
        self._unsaid: OrderedDict[tuple[str, str], Revocation] = OrderedDict()
        self._ready = asyncio.Event()
        self._pool_linked: bool | None = None
        """What this link's ledger says; one of the release before says nothing."""
        self._was_complete = False
        self._listener: Listener | None = None

    def listen(self, listener: Listener) -> None:
        """Set who is told what the ledger says unasked."""
        self._listener = listener

    @property
    def ready(self) -> bool:
        # Who was sent out must not find one gateway that has not heard of it.
        return self._ready.is_set()

    @property
    def pool_linked(self) -> bool:
        # Said first on a link, so who is ready and was told nothing will not be told.
        return self.ready and self._pool_linked is not False

    @property
    def was_complete(self) -> bool:
        return self._was_complete

    async def wait_ready(self) -> None:
        """Wait until the ledger can be asked, and the revocations are known."""
        await self._ready.wait()

    async def run(self) -> None:
        """Keep a link until cancelled: dial, watch its heartbeat, dial again."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                end = await self._dial()
            except Exception as error:
                # Whatever a resolver raises, a gateway with calls goes on trying.
                logger.info("ledger not reached", extra={"reason": repr(error), "pause_s": pause})
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            pause = FIRST_PAUSE_S
            try:
                await self._keep(end)
            finally:
                self._end = None
                self._up.clear()
                self._ready.clear()
                self._pool_linked = None
                end.link.abort()
            logger.warning("ledger link lost")

    async def put_presence(self, put: PresencePut) -> PresenceState:
        self._puts[put.connection_id] = put
        return await self._ask(
            put.method, put, PresenceState, holds=lambda: put.connection_id in self._puts
        )

    async def watch_presence(self, watch: PresenceWatch) -> PresenceState:
        self._watches[watch.connection_id] = watch
        return await self._ask(
            watch.method, watch, PresenceState, holds=lambda: watch.connection_id in self._watches
        )

    def forget(self, connection_id: str) -> None:
        end = self._end
        if self._puts.pop(connection_id, None) is not None and end is not None:
            drop = PresenceDrop(connection_id=connection_id)
            end.call(drop.method, drop.to_bytes()).add_done_callback(_ignore)
        if self._watches.pop(connection_id, None) is not None and end is not None:
            unwatch = PresenceUnwatch(connection_id=connection_id)
            end.call(unwatch.method, unwatch.to_bytes()).add_done_callback(_ignore)

    def answer_colleague(self, said: ColleagueAnswer) -> None:
        if self._end is not None:
            self._end.call(said.method, said.to_bytes()).add_done_callback(_ignore)

    async def open_session(self, request: SessionOpen, *, holds: Holds = always) -> Location:
        return await self._ask(
            request.method, request, Location, timeout_s=self._limits.open_timeout_s, holds=holds
        )

    async def locate(self, session_id: str, account_id: str | None) -> Location:
        request = SessionLocate(session_id=session_id)
        return await self._ask(
            request.method, request, Location, timeout_s=self._limits.locate_timeout_s
        )

    async def takeover(self, left: Location) -> Location:
        request = SessionTakeover(session_id=left.session_id, observed_epoch=left.epoch)
        return await self._ask(
            request.method, request, Location, timeout_s=self._limits.open_timeout_s
        )

    async def locate_guest(self, code_hash: str) -> GuestLocated:
        request = GuestLocate(code_hash=code_hash)
        return await self._ask(
            request.method, request, GuestLocated, timeout_s=self._limits.locate_timeout_s
        )

    async def list_records(self, query: RecordQuery) -> RecordPage:
        return await self._ask(query.method, query, RecordPage)

    async def get_record(self, query: RecordGet) -> SessionRecord:
        return await self._ask(query.method, query, SessionRecord)

    async def revoke(self, revocation: Revocation) -> bool:
        key = (revocation.account_id, revocation.subject_hash)
        try:
            await self.ask(revocation, Done)
        except Unavailable:
            # What reduces exposure is never lost: it is said again on the next link.
            self._unsaid[key] = revocation
            if len(self._unsaid) > MOST_UNSAID:
                self._unsaid.popitem(last=False)
            return False
        return True

    async def ask(self, request: Call, reply: type[Reply], *, timeout_s: float = 3.0) -> Reply:
        return await self._ask(request.method, request, reply, timeout_s=timeout_s)

    async def rate(self, rating: RecordRate) -> None:
        await self.do(rating.method, rating)

    async def do(
        self, method: str, request: ClusterMessage, *, timeout_s: float | None = None
    ) -> None:
        """Make a call whose reply says only that it is done."""
        await self._ask(method, request, Done, timeout_s=timeout_s)

    async def _ask(
        self,
        method: str,
        request: ClusterMessage | Call,
        reply: type[Reply],
        *,
        timeout_s: float | None = None,
        holds: Holds = always,
    ) -> Reply:
        """Call as soon as there is a link, if what is said `holds` by then."""
        with traced(self._traces, method, "client") as trace:
            if trace is not None and isinstance(request, SessionOpen | SessionTakeover):
                request = request.model_copy(update={"trace": trace})
            try:
                async with asyncio.timeout(timeout_s or self._limits.call_timeout_s):
                    while (end := self._end) is None:
                        await self._up.wait()
                    if not holds():
                        # Nobody would ever take it back.
                        raise Unavailable(ErrorCode.LEDGER_AWAY, "It was forgotten meanwhile.")
                    return read(reply, await end.call(method, request.to_bytes()))
            except TimeoutError:
                raise Unavailable(
                    ErrorCode.LEDGER_AWAY, "The ledger does not answer at the moment."
                ) from None

    async def _dial(self) -> End:
        host, port = await self._resolve()
        end, _ = await dial(
            host,
            port,
            self._key,
            self._hello,
            timeout_s=self._limits.dial_timeout_s,
            prepare=self._prepare,
        )
        return end

    def _prepare(self, end: End) -> None:
        # Its own: the link before may be given up, and tell its loss when this one is dialled.
        down = self._down = asyncio.Event()
        end.on_notice = self._on_notice
        end.on_lost = lambda _: down.set()

    async def _keep(self, end: End) -> None:
        self._end = end
        self._up.set()
        logger.info("ledger link up", extra={"puts": len(self._puts)})
        self._say_again(end)
        heard, silent = end.heard, 0
        while not end.link.closed and silent < SILENT_PINGS:
            end.ping()
            try:
                async with asyncio.timeout(PING_S):
                    await self._down.wait()
                return
            except TimeoutError:
                silent = silent + 1 if end.heard == heard else 0
                heard = end.heard

    def _say_again(self, end: End) -> None:
        presence = self._presence()
        for _ in range(SAID_AT_ONCE):
            self._say_next(end, presence)
        for key, revocation in list(self._unsaid.items()):
            said = end.call(revocation.method, revocation.to_bytes())
            said.add_done_callback(partial(self._on_revocation_said, key, revocation))
        self._ask_revocations(end)

    def _ask_revocations(self, end: End, after: tuple[str, str] | None = None) -> None:
        if not end.link.closed:
            asked = RevocationList(after=after, limit=REVOCATIONS_AT_ONCE)
            reply = end.call(asked.method, asked.to_bytes())
            reply.add_done_callback(partial(self._on_revocations, end))

    def _presence(self) -> Iterator[PresencePut | PresenceWatch]:
        """Give what was put and is watched, each as it is by the time it is asked for."""
        for connection_id in list(self._puts):
            if (put := self._puts.get(connection_id)) is not None:
                yield put
        for connection_id in list(self._watches):
            if (watch := self._watches.get(connection_id)) is not None:
                yield watch

    def _say_next(self, end: End, presence: Iterator[PresencePut | PresenceWatch]) -> None:
        said = next(presence, None)
        if said is not None:
            reply = end.call(said.method, said.to_bytes())
            reply.add_done_callback(partial(self._on_said_again, end, presence))

    def _on_said_again(
        self,
        end: End,
        presence: Iterator[PresencePut | PresenceWatch],
        reply: asyncio.Future[bytes],
    ) -> None:
        if reply.cancelled() or end.link.closed:
            return
        self._say_next(end, presence)
        if reply.exception() is None and self._listener is not None:
            self._listener.on_presence(read(PresenceState, reply.result()))

    def _on_revocation_said(
        self, key: tuple[str, str], said: Revocation, reply: asyncio.Future[bytes]
    ) -> None:
        is_said = not reply.cancelled() and reply.exception() is None
        # A later one of the same subject may wait by now.
        if is_said and self._unsaid.get(key) is said:
            del self._unsaid[key]

    def _on_revocations(self, end: End, reply: asyncio.Future[bytes]) -> None:
        if reply.cancelled() or end.link.closed:
            return
        try:
            page = read(Revocations, reply.result())
        except (SwitchboardError, ValidationError) as fault:
            logger.error("revocations not learned", extra={"reason": str(fault)})
            asyncio.get_running_loop().call_later(LONGEST_PAUSE_S, self._ask_revocations, end)
            return
        if self._listener is not None:
            for revocation in page.revocations:
                self._listener.on_revoked(revocation)
        if page.more:
            last = page.revocations[-1]
            self._ask_revocations(end, (last.account_id, last.subject_hash))
        else:
            self._ready.set()
            self._was_complete |= self.pool_linked

    def _on_notice(self, end: LinkEnd[asyncio.Future[bytes]], method: str, payload: bytes) -> None:
        if method == PoolLinked.method:
            self._pool_linked = read(PoolLinked, payload).linked
            self._was_complete |= self.pool_linked
        elif self._listener is not None:
            self._tell(self._listener, method, payload)

    def _tell(self, listener: Listener, method: str, payload: bytes) -> None:
        match method:
            case "presence.changed":
                listener.on_presence(read(PresenceState, payload))
            case "session.attach":
                listener.on_attach(read(SessionAttach, payload))
            case "session.queued":
                listener.on_queued(read(SessionQueued, payload))
            case "session.relocated":
                listener.on_relocated(read(SessionRelocated, payload).location)
            case PresenceDisplaced.method:
                displaced = read(PresenceDisplaced, payload)
                # Not said again on the next link.
                self._puts.pop(displaced.connection_id, None)
                listener.on_displaced(displaced)
            case "colleague.called":
                listener.on_called(read(ColleagueCalled, payload))
            case "colleague.settled":
                listener.on_settled(read(ColleagueSettled, payload))
            case "login.handed":
                listener.on_handed(read(LoginHand, payload))
            case "revocation.added":
                listener.on_revoked(read(Revocation, payload))
            case _:
                logger.info("unknown notice", extra={"method": method})


def _ignore(reply: asyncio.Future[bytes]) -> None:
    if not reply.cancelled():
        reply.exception()
