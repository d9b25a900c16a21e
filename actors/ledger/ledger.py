"""The ledger's shell: its port, and its members' links."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable

import sqlalchemy as sa

from actors.chores import Chores
from actors.ledger.audience import Audience
from actors.ledger.calls import Handler, Member, Parts, calls_of
from actors.ledger.colleagues import ColleagueCalls
from actors.ledger.database import Database
from actors.ledger.devices import DeviceBook
from actors.ledger.erasure import Erasing
from actors.ledger.grown import Grown
from actors.ledger.measures import Measures
from actors.ledger.outbox import Outbox
from actors.ledger.policy import LedgerPolicy
from actors.ledger.presence import Presence
from actors.ledger.ratings import Ratings
from actors.ledger.records import Records
from actors.ledger.sessions import Sessions
from actors.ledger.sharing import Sharing
from actors.ledger.writer import Writer
from actors.link import End, ListenedEnd, Tls, answer
from actors.listener import Listener
from broker.errors import ErrorCode, Forbidden, Malformed, SwitchboardError, TooFast, Unavailable
from broker.link import Reply
from broker.measures import Count, Standing
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.exporting import MeasureList
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import (
    NodeDrain,
    NodeList,
    NodeState,
    NodeUndrain,
    PoolLevel,
    PoolVacate,
)
from broker.shards import WHOLE, Shard
from broker.tracing import Span, Traces

_log = logging.getLogger(__name__)


class Ledger:
    """The durable directory and journal of sessions, and the memory of presence.

    `close()` ends the port, every link and the database. When another ledger takes the term, this
    one cuts every link and takes no new ones: its members find the other by their resolver.
    `stopped` is set then, and after `close()`.
    """

    def __init__(
        self,
        database_url: str,
        key: bytes,
        *,
        now_ms: Callable[[], int],
        shard: Shard = WHOLE,
        owner: str = "",
        policy: LedgerPolicy | None = None,
        tls: Tls | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self._policy = policy or LedgerPolicy()
        self._now_ms = now_ms
        self._shard = shard
        self._database = Database(database_url, shard, owner)
        self._measures = Measures(shard.number)
        self._writer = Writer(
            self._database,
            batch_limit=self._policy.batch_limit,
            writes_limit=self._policy.writes_limit,
            on_term_lost=self._on_term_lost,
            on_failed=lambda: self._measures.count(Count.DATABASE_ERRORS_WRITE),
        )
        self._chores = Chores(self._policy.chores_limit)
        grown = Grown(now_ms)
        self._audience = Audience(lambda: self._sessions.news(), self._policy.level_s, grown.add)
        self._presence: Presence[End] = Presence(
            self._policy,
            lambda key: self._sessions.located(key),
            lambda gateway, state: self._audience.reach_changed(gateway, state),
            lambda gateway, connection_id: self._audience.displaced(gateway, connection_id),
            lambda key: self._sessions.openings.on_watched(key),
        )
        self._sessions = Sessions(
            self._database,
            self._writer,
            self._audience,
            self._presence,
            self._chores,
            self._policy,
            now_ms,
            shard,
            tls,
        )
        self._listener = Listener(key, self._on_hello, tls=tls)
        self._members: dict[End, Member] = {}
        self._calls = calls_of(
            Parts(
                term=lambda: self.term,
                audience=self._audience,
                presence=self._presence,
                sessions=self._sessions,
                records=Records(self._database, self._writer),
                outbox=Outbox(self._database, self._writer, now_ms, shard, grown),
                sharing=Sharing(self._database, self._writer, self._audience, now_ms),
                devices=DeviceBook(self._database, self._writer, now_ms),
                erasing=Erasing(
                    self._database, self._writer, now_ms, shard, self._audience.journal_grew
                ),
                ratings=Ratings(self._writer, now_ms),
                asking=ColleagueCalls(self._sessions.directory, self._presence, self._audience),
                measures=self._measures,
                measured=self.measured,
            )
        )
        self._heartbeat: asyncio.Task[None] | None = None
        self.stopped = asyncio.Event()

    @property
    def term(self) -> int:
        """The term this ledger took."""
        return self._database.term

    def level(self) -> PoolLevel:
        """Say how many standbys wait, and how much they are wanted."""
        return self._sessions.level()

    def pause_openings(self, for_s: float) -> int:
        """Open no session for so long, 0 for again; say how many are live or being opened."""
        opening = self._sessions.openings.pause(round(for_s * 1000))
        return opening + len(self._sessions.directory)

    def nodes(self) -> NodeList:
        """Say how the nodes stand."""
        return self._sessions.drains.all()

    async def drain(self, ask: NodeDrain) -> NodeState:
        """Move a node's sessions away. Raises NotFound (`unknown_node`)."""
        return await self._sessions.drains.drain(ask)

    async def undrain(self, ask: NodeUndrain) -> Done:
        """Let a node have sessions again."""
        return await self._sessions.drains.undrain(ask)

    def measured(self) -> MeasureList:
        """Say what was counted of the session actors and of this ledger."""
        links = Counter(each.hello.kind for each in self._members.values())
        standing = {Standing(f"links.{kind}"): count for kind, count in links.items()}
        standing[Standing.WRITES_WAITING] = self._writer.waiting
        return self._measures.all({Count.TRANSACTIONS: self.transactions}, standing)

    @property
    def transactions(self) -> int:
        """Write transactions committed so far."""
        return self._writer.transactions

    async def start(self, host: str, port: int) -> int:
        """Take the term, load the live sessions, listen; return the port.

        Raises:
            RuntimeError: the database is newer than this release.
            OtherShards: sessions are live that belong to ledgers of another number.
            Superseded: a deployment that was started later has the database.
            SQLAlchemyError, OSError: the database or the port cannot be had.
        """
        try:
            await self._database.take_term(self._now_ms())
            self._writer.start()
            await self._sessions.load()
            await self._sessions.drains.load()
            bound = await self._listener.start(host, port)
        except BaseException:
            await self.close()
            raise
        self._heartbeat = asyncio.get_running_loop().create_task(self._beat())
        _log.info(
            "The ledger serves.",
            extra={"term": self.term, "port": bound, "shard": self._shard.number},
        )
        return bound

    async def close(self) -> None:
        """Stop; what was answered before is durable. Harmless when closed."""
        self.stopped.set()
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)
        await self._chores.close()
        self._audience.close()
        await self._listener.close()
        await self._writer.close()
        await self._database.close()

    def _on_term_lost(self) -> None:
        self.stopped.set()
        for member in list(self._members.values()):
            member.end.link.abort()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._policy.heartbeat_s)
            for member in list(self._members.values()):
                member.unanswered = member.unanswered + 1 if member.end.heard == member.heard else 0
                member.heard = member.end.heard
                if member.unanswered >= self._policy.silent_beats:
                    member.end.link.abort()
                elif member.unanswered:
                    # Who was heard lives: members ask for signs of life themselves, and a question
                    # each second would wake every session actor that there is.
                    member.end.ping()

    def _on_hello(self, end: ListenedEnd, body: bytes) -> None:
        try:
            hello = read(LinkHello, body)
        except ValueError:
            end.refuse(Malformed(ErrorCode.MALFORMED, "The hello does not fit."))
            return
        if self.stopped.is_set():
            end.link.abort()
            return
        if hello.kind != "session" and hello.shards != self._shard.of:
            # It would ask this ledger for accounts that are another's.
            end.refuse(Forbidden(ErrorCode.NOT_PERMITTED, f"Here are {self._shard.of} shards."))
            return
        member = Member(end, hello)
        self._members[end] = member
        end.on_call = lambda _, method, payload, reply: self._on_call(
            member, method, payload, reply
        )
        end.on_notice = lambda _, method, payload: None
        end.on_lost = self._on_lost
        end.accept(_Ready(term=self.term).to_bytes())
        match hello.kind:
            case "gateway":
                self._audience.gateway_came(end)
            case "keeper":
                self._audience.keepers.add(end)
            case "session":
                self._measures.come(end, hello.node)
                end.on_notice = self._measures.on_notice
            case "pool":
                end.on_notice = lambda _, method, payload: self._on_pool_notice(method, payload)
                self._audience.pool_came(end)

    def _on_pool_notice(self, method: str, payload: bytes) -> None:
        if method == "pool.vacate":
            told = read(PoolVacate, payload)
            self._sessions.standbys.vacate(told.closed, told.retired)

    def _on_lost(self, end: End) -> None:
        self._members.pop(end, None)
        self._audience.gone(end)
        self._measures.gone(end)
        if self.stopped.is_set():
            return
        self._presence.on_gateway_lost(end)
        self._sessions.on_actor_lost(end)

    def _on_call(self, member: Member, method: str, payload: bytes, reply: Reply) -> None:
        kinds, handler = self._calls.get(method, (frozenset[str](), None))
        if handler is None:
            reply.fault(Malformed(ErrorCode.MALFORMED, "There is no such method."))
        elif member.hello.kind not in kinds:
            reply.fault(Forbidden(ErrorCode.NOT_PERMITTED, "This member may not call that."))
        elif member.calls >= self._policy.calls_per_link:
            reply.fault(TooFast(ErrorCode.RATE_LIMITED, "Too many calls are at work."))
        else:
            # Tasks take their first step in the order they were made, and an append is queued in
            # its first step: the journal keeps the order of the link.
            served = self._chores.start(self._serve(member, method, handler, payload, reply))
            if served is None:
                reply.fault(TooFast(ErrorCode.RATE_LIMITED, "Too many calls are at work."))
            else:
                member.calls += 1

    async def _serve(
        self, member: Member, method: str, handler: Handler, payload: bytes, reply: Reply
    ) -> None:
        span: Span | None = None

        async def handle(_: str, payload: bytes) -> ClusterMessage:
            nonlocal span
            span = self._begin_span(method, payload)
            try:
                return await handler(member, payload)
            except SwitchboardError as error:
                if span is not None:
                    span.end(str(error.code))
                raise
            except (sa.exc.SQLAlchemyError, OSError):
                _log.exception("The database failed a call.", extra={"method": method})
                self._measures.count(Count.DATABASE_ERRORS_READ)
                if span is not None:
                    span.end(str(ErrorCode.LEDGER_AWAY))
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The database is away.") from None

        try:
            await answer(reply, method, payload, handle)
        finally:
            member.calls -= 1
            if span is not None:
                span.end()

    def _begin_span(self, method: str, payload: bytes) -> Span | None:
        """Continue the trace that a call belongs to, if it says so."""
        if self._traces is None or b'"trace":' not in payload:
            return None
        context = json.loads(payload).get("trace")
        return self._traces.begin(method, "server", context) if context else None


class _Ready(ClusterMessage):
    """READY body of a ledger link."""

    term: int
