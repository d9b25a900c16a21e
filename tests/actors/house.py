"""A whole session actor between a scripted ledger and trunks that the test dials, over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from actors.ledger.stop import SessionStop
from actors.link import DialledEnd, End, ListenedEnd, call, dial
from actors.listener import Listener
from actors.relay import RelayConfig
from actors.session.actor import SessionActor
from actors.session.config import SessionConfig
from broker.errors import SwitchboardError
from broker.link import Reply
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.measures import ActorMeasured
from broker.messages.cluster.members import Enlisted, SessionMember
from broker.messages.cluster.tenure import (
    JournalAppend,
    JournalEntry,
    Journalled,
    SessionAssign,
    SessionCommitted,
    SessionContinue,
    SessionLeaving,
    SessionPast,
    SessionYield,
)
from broker.messages.cluster.trunk import Principal, TrunkHello, TrunkReady
from broker.trunk import Frame
from broker.words import Mode, Way
from tests.actors.stage import AGENT, IDS, KEY, hello_of
from tests.patience import PATIENCE

WAIT_S = 10.0 * PATIENCE
SESSION = "s-1"


class _Term(ClusterMessage):
    term: int = 1


class ScriptedLedger:
    """Enlists the one actor that comes, and keeps what it appends."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.reports: list[ActorMeasured] = []
        self.member: SessionMember | None = None
        self.enlisted = asyncio.Event()
        self.appended = asyncio.Event()
        self.refusal: SwitchboardError | None = None
        """What it answers appends with; `None`: it takes them."""
        self.on_appended: Callable[[], None] = lambda: None
        """Called when it has answered that it took one, before the loop turns."""
        self.unanswered: list[Reply] = []
        """Of questions that it has no answer to, in the order in which they came."""
        self._listener = Listener(KEY, self._on_hello)
        self._end: ListenedEnd | None = None
        self._address = ("", 0)

    async def start(self) -> None:
        """Listen on the port it had before, or on a new one."""
        self._address = ("127.0.0.1", await self._listener.start("127.0.0.1", self._address[1]))

    async def stop(self) -> None:
        self.enlisted.clear()
        await self._listener.close()

    async def resolve(self) -> tuple[str, int]:
        return self._address

    async def assign(
        self, session_id: str = SESSION, account_id: str = "acc", word: bytes | None = None
    ) -> None:
        """Give the actor its session, and say, in this `word`, that it is durable."""
        assert self._end is not None
        ask = SessionAssign(
            session_id=session_id,
            epoch=1,
            account_id=account_id,
            engagement_key="eng",
            ids=IDS,
            mode=Mode.VIDEO,
            owner=AGENT,
            policy={},
        )
        first = await call(self._end, ask, Journalled, timeout_s=WAIT_S)
        self.entries += first.entries
        committed = SessionCommitted(session_id=session_id, epoch=1)
        self.tell_committed(word or committed.to_bytes())

    def tell_committed(self, word: bytes) -> None:
        """Say in this word that the actor's session is durable."""
        assert self._end is not None
        self._end.notify("session.committed", word)

    def say_stop(self) -> None:
        """Write to the actor that its session is another's; it lies in its socket then."""
        assert self._end is not None
        stop = SessionStop(session_id=SESSION)
        self._end.call(stop.method, stop.to_bytes()).cancel()
        assert self._end.link.unsent_bytes == 0

    async def go_on(
        self, entries: list[JournalEntry], *, before: Sequence[SessionPast] = (), now_ms: int = 0
    ) -> Journalled:
        """Have the actor continue a session; `before` is what it is given first."""
        assert self._end is not None
        for part in before:
            await call(self._end, part, Done, timeout_s=WAIT_S)
        ask = SessionContinue(
            session_id=SESSION,
            epoch=2,
            account_id="acc",
            engagement_key="eng",
            ids=IDS,
            policy={},
            entries=entries,
            subjects=[],
            now_ms=now_ms or None,
        )
        return await call(self._end, ask, Journalled, timeout_s=WAIT_S)

    async def stop_session(self) -> None:
        """Tell the actor that its session is another's."""
        assert self._end is not None
        await call(self._end, SessionStop(session_id=SESSION), Done, timeout_s=WAIT_S)

    def leaving(self, within_ms: int | None, epoch: int = 1) -> None:
        """Say that the actor's node is drained, or is not any more."""
        assert self._end is not None
        news = SessionLeaving(session_id=SESSION, epoch=epoch, within_ms=within_ms)
        self._end.notify("session.leaving", news.to_bytes())

    async def move(self) -> None:
        """Ask the actor to yield its session, as at the beginning of a move."""
        assert self._end is not None
        await call(self._end, SessionYield(session_id=SESSION, epoch=1), Done, timeout_s=WAIT_S)

    def _on_hello(self, end: ListenedEnd, hello: bytes) -> None:
        self._end = end
        end.on_call = self._on_call
        end.on_notice = self._on_notice
        end.accept(_Term().to_bytes())

    def _on_notice(self, end: End, method: str, payload: bytes) -> None:
        assert method == "actor.measured"
        self.reports.append(read(ActorMeasured, payload))

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        match method:
            case SessionMember.method:
                self.member = read(SessionMember, payload)
                reply.done(Enlisted(term=1, keep=True).to_bytes())
                self.enlisted.set()
            case JournalAppend.method if self.refusal is not None:
                reply.fault(self.refusal)
            case JournalAppend.method:
                self.entries += read(JournalAppend, payload).entries
                reply.done(Done().to_bytes())
                self.appended.set()
                self.on_appended()
            case _:
                self.unanswered.append(reply)


class House:
    """The actor, its ledger, and whether it is over."""

    def __init__(
        self, *, lonely_s: float, relay: RelayConfig | None, report_s: float, stall_s: float
    ) -> None:
        self.ledger = ScriptedLedger()
        self.over = asyncio.Event()
        self.now_ms = 1_000_000
        self.actor = SessionActor(
            SessionConfig(
                node="n",
                trunk_key=KEY,
                lonely_s=lonely_s,
                report_s=report_s,
                stall_s=stall_s,
                relay=relay or RelayConfig(),
            ),
            self.ledger.resolve,
            now_ms=lambda: self.now_ms,
            on_over=self.over.set,
        )

    async def trunk(self, connection_id: str = "c1", gateway_id: str = "g1") -> DialledEnd:
        """Dial the agent's trunk as a gateway would."""
        return (await self.dial(AGENT, connection_id, gateway_id))[0]

    async def dial(
        self,
        principal: Principal,
        connection_id: str = "c1",
        gateway_id: str = "g1",
        way: Way | None = None,
    ) -> tuple[DialledEnd, TrunkReady]:
        """Dial a trunk and return it with what the actor answered."""
        member = self.ledger.member
        assert member is not None
        ids = {"connection_id": connection_id, "gateway_id": gateway_id}
        return await reach(member, hello_of(principal, **ids, way=way))


async def reach(
    member: SessionMember,
    hello: TrunkHello,
    on_frame: Callable[[End, Frame, bytes], None] = lambda *_: None,
) -> tuple[DialledEnd, TrunkReady]:
    """Dial a session actor and return the trunk with what it answered."""

    def prepare(end: DialledEnd) -> None:
        end.on_frame = on_frame

    end, ready = await dial(
        member.host, member.port, KEY, hello.to_bytes(), timeout_s=WAIT_S, prepare=prepare
    )
    return end, read(TrunkReady, ready)


@asynccontextmanager
async def house(
    *,
    lonely_s: float = 60.0,
    relay: RelayConfig | None = None,
    report_s: float = 5.0,
    stall_s: float = 1.0,
) -> AsyncIterator[House]:
    """Start ledger and actor; the actor is enlisted."""
    made = House(lonely_s=lonely_s, relay=relay, report_s=report_s, stall_s=stall_s)
    await made.ledger.start()
    try:
        await made.actor.start()
        async with asyncio.timeout(WAIT_S):
            await made.ledger.enlisted.wait()
        yield made
    finally:
        await made.actor.close()
        await made.ledger.stop()
