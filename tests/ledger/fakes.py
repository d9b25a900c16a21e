"""Members of a cluster that are real on the wire and empty inside."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from actors.ledger import Ledger, LedgerPolicy
from actors.ledger_link import LedgerLink, LinkTiming
from actors.link import DialledEnd, dial
from actors.listener import Listener
from broker.errors import ErrorCode, Unavailable
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.members import Enlisted, LinkHello, SessionMember
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeQuery, NodeState, NodeUndrain
from broker.messages.cluster.presence import PresencePut, PresenceState
from broker.messages.cluster.records import RecordGet, SessionRecord
from broker.messages.cluster.sessions import SessionOpen, SessionTakeover
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
    Subject,
)
from broker.messages.cluster.trunk import Location, Principal
from broker.messages.colleagues import ColleagueDeclined
from broker.messages.parts import EngagementIds
from broker.words import Mode, Role, Surface
from tests.patience import PATIENCE

KEY = b"k" * 32
HOST = "127.0.0.1"
TIMING = LinkTiming(backoff_first_s=0.01, backoff_last_s=0.05, call_s=30.0 * PATIENCE)
POLICY = LedgerPolicy(
    capacity_wait_s=10.0 * PATIENCE,
    probe_s=10.0 * PATIENCE,
    return_s=10.0 * PATIENCE,
    settle_s=10.0 * PATIENCE,
    level_s=0.005,
    assign_s=10.0 * PATIENCE,
    linger_s=0.02,
    drain_pause_s=0.01,
    move_wait_s=0.1,
)
"""What is to happen has time, also where the machine stands still; what is to run out is made short
where it is tested."""
BRIEF = replace(POLICY, capacity_wait_s=0.3)
"""For openings that find no standby."""
ACCOUNT = "acme"

M = TypeVar("M", bound=ClusterMessage)
_numbers = itertools.count(1)


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


class Home:
    """Where the ledger is now: what a resolver asks."""

    def __init__(self) -> None:
        self.port = 0

    async def __call__(self) -> tuple[str, int]:
        if not self.port:
            raise ConnectionRefusedError("No ledger yet.")
        return HOST, self.port


class LedgerAt(Ledger):
    """A ledger that a test can find and replace."""

    async def serve(self, home: Home) -> None:
        home.port = await self.start(HOST, 0)


def entry(seq: int, type_: str = "test.noted", **body: object) -> JournalEntry:
    return JournalEntry(seq=seq, at_ms=1_000 + seq, type=type_, version=1, body=body)


class FakeActor:
    """A session actor: keeps what it was given, answers as it was told."""

    def __init__(
        self,
        home: Home,
        *,
        kills: bool = False,
        node: str = "node-1",
        label: str = "",
        account_id: str | None = None,
        people_in_parts: bool = True,
    ) -> None:
        self.account_id = account_id
        """Set where its process has held a session of this account."""
        self.people_in_parts = people_in_parts
        """Not so of the release before."""
        self.node = node
        self.label = label
        self.member_id = f"actor-{next(_numbers)}"
        self.session_id: str | None = None
        self.epoch = 0
        self.last_seq = 0
        self.kept: list[bool] = []
        self.committed: list[SessionCommitted] = []
        self.continued: list[SessionContinue] = []
        self.past: list[JournalEntry] = []
        self.people: list[Subject] = []
        """Who was in the parts before the last."""
        self.told_ms: list[int | None] = []
        """The ledger's time, each time that it was given a session."""
        self.opened_by: str | None = None
        self.yields = True
        self.yielded: list[int] = []
        self.yielding: Callable[[], Awaitable[object]] | None = None
        self.told_to_keep = 0
        self.leaving: list[tuple[int | None, int]] = []
        """By when its session was said to move, and how often it had yielded by then."""
        self.declined: list[str] = []
        """Agents who were asked into its session and do not come."""
        self.stopped = False
        self.kills = kills
        """Die when asked to continue a session, as a poisonous journal would make it."""
        self.assigning: Callable[[], Awaitable[None]] | None = None
        self.continuing: Callable[[], Awaitable[object]] | None = None
        self.port = 0
        self._dead = False
        self._listener = Listener(KEY, lambda end, hello: None)
        self.link = LedgerLink(
            home,
            KEY,
            LinkHello(kind="session", member_id=self.member_id, node=node),
            enlist=self._enlist,
            on_call=self._on_call,
            on_notice=self._on_notice,
            timing=TIMING,
        )

    async def start(self) -> FakeActor:
        self.port = await self._listener.start(HOST, 0)
        if self._dead:
            # A pool that refills while a test ends: its actor died before it listened.
            await self._listener.close()
            raise Unavailable(ErrorCode.SHUTTING_DOWN, "The test is over.")
        await self.link.start()
        await self.link.wait_up(30.0 * PATIENCE)
        return self

    async def die(self) -> None:
        """Vanish as a killed process does: the port first, then the link."""
        self._dead = True
        await self._listener.close()
        await self.link.close()

    async def append(self, *entries: JournalEntry, people: Sequence[Subject] = ()) -> None:
        assert self.session_id is not None
        append = JournalAppend(
            session_id=self.session_id,
            epoch=self.epoch,
            entries=list(entries),
            subjects=list(people),
        )
        await self.link.call(append, Done)
        self.last_seq = max(self.last_seq, *(one.seq for one in entries))

    async def _enlist(self, link: LedgerLink) -> None:
        enlisted = await link.call(
            SessionMember(
                member_id=self.member_id,
                node=self.node,
                label=self.label,
                host=HOST,
                port=self.port,
                session_id=self.session_id,
                epoch=self.epoch,
                account_id=self.account_id,
                process=self.member_id,
                people_in_parts=self.people_in_parts,
            ),
            Enlisted,
        )
        self.kept.append(enlisted.keep)

    async def _on_call(self, method: str, payload: bytes) -> ClusterMessage:
        match method:
            case "session.assign":
                if self.assigning is not None:
                    await self.assigning()
                assign = read(SessionAssign, payload)
                self.told_ms.append(assign.now_ms)
                self.opened_by = assign.opened_by
                self.session_id, self.epoch, self.last_seq = assign.session_id, assign.epoch, 1
                started = entry(1, "session.started", mode=str(assign.mode))
                return Journalled(
                    entries=[started],
                    subjects=[Subject(participant_id="p1", body={"name": "Ann"})],
                )
            case "session.continue":
                ask = read(SessionContinue, payload)
                self.continued.append(ask)
                self.told_ms.append(ask.now_ms)
                if self.continuing is not None:
                    await self.continuing()
                if self.kills:
                    await self._listener.close()
                    self.link.drop()
                self.session_id, self.epoch = ask.session_id, ask.epoch
                self.past += ask.entries
                self.last_seq = self.past[-1].seq
                return Journalled(entries=[], subjects=[])
            case "session.past":
                part = read(SessionPast, payload)
                self.past += part.entries
                self.people += part.subjects
                return Done()
            case "session.yield":
                ask_yield = read(SessionYield, payload)
                if self.yielding is not None:
                    await self.yielding()
                if not self.yields:
                    raise Unavailable(ErrorCode.SESSION_AWAY, "Not now.")
                self.yielded.append(ask_yield.epoch)
                return Done()
            case "session.stop":
                self.stopped = True
                return Done()
            case _:
                raise AssertionError(method)

    def _on_notice(self, method: str, payload: bytes) -> None:
        if method == "session.keep":
            self.told_to_keep += 1
            return
        if method == "session.leaving":
            self.leaving.append((read(SessionLeaving, payload).within_ms, len(self.yielded)))
            return
        if method == "colleague.declined":
            self.declined.append(read(ColleagueDeclined, payload).agent_id)
            return
        assert method == "session.committed"
        self.committed.append(read(SessionCommitted, payload))


class FakeGateway:
    """A gateway: calls, and keeps what it is told."""

    def __init__(self, home: Home, shards: int = 1) -> None:
        self.notices: list[tuple[str, bytes]] = []
        self.link = LedgerLink(
            home,
            KEY,
            LinkHello(
                kind="gateway", member_id=f"gw-{next(_numbers)}", node="node-1", shards=shards
            ),
            on_notice=lambda method, payload: self.notices.append((method, payload)),
            timing=TIMING,
        )

    async def start(self) -> FakeGateway:
        await self.link.start()
        await self.link.wait_up(30.0 * PATIENCE)
        return self

    def told(self, method: str, model: type[M]) -> list[M]:
        return [read(model, payload) for name, payload in self.notices if name == method]

    async def open(self, key: str = "eng-1", account_id: str = ACCOUNT) -> Location:
        return await self.link.call(opening(key, account_id), Location)

    async def put(
        self,
        connection_id: str,
        key: str = "eng-1",
        *,
        visible: bool = True,
        claim: str | None = None,
    ) -> PresenceState:
        return await self.link.call(
            waiting(connection_id, key, visible=visible, claim=claim), PresenceState
        )

    async def takeover(self, session_id: str, epoch: int) -> Location:
        return await self.link.call(
            SessionTakeover(session_id=session_id, observed_epoch=epoch), Location
        )

    async def drain(self, node: str, deadline_s: float = 30.0) -> NodeState:
        return await self.link.call(NodeDrain(node=node, deadline_s=deadline_s), NodeState)

    async def undrain(self, node: str) -> None:
        await self.link.call(NodeUndrain(node=node), Done)

    async def nodes(self) -> dict[str, NodeState]:
        found = await self.link.call(NodeQuery(), NodeList)
        return {one.node: one for one in found.nodes}

    async def record(self, session_id: str) -> SessionRecord:
        return await self.link.call(RecordGet(session_id=session_id), SessionRecord)


def opening(key: str = "eng-1", account_id: str = ACCOUNT) -> SessionOpen:
    return SessionOpen(
        account_id=account_id,
        engagement_key=key,
        ids=EngagementIds(account_id=account_id, rt_session_id=key),
        mode=Mode.VIDEO,
        owner=Principal(role=Role.AGENT, account_id=account_id, agent_id="7"),
    )


def waiting(
    connection_id: str,
    key: str = "eng-1",
    *,
    visible: bool = True,
    claim: str | None = None,
    surface: Surface = Surface.LAUNCHER,
) -> PresencePut:
    return PresencePut(
        connection_id=connection_id,
        account_id=ACCOUNT,
        keys=[key],
        surface=surface,
        visible=visible,
        claim_hash=claim,
    )


async def greeted(port: int, kind: str = "gateway", key: bytes = KEY) -> DialledEnd:
    """Dial a ledger by hand."""
    hello = f'{{"kind":"{kind}","member_id":"m","node":"n"}}'.encode()
    end, _ = await dial(HOST, port, key, hello)
    return end
