"""A live session on a stage: a ledger that can stall, trunks that write down what they carry."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

from actors.link import ListenedEnd, promise
from actors.session.admission import admit
from actors.session.config import SessionConfig
from actors.session.connection import Connection
from actors.session.live import LiveSession
from actors.session.person import Person
from actors.session.requests import Requests
from broker.commands import Admit, InviteGuest, JoinGuest
from broker.errors import ErrorCode, Unavailable
from broker.link import ListeningEnd
from broker.messages.cluster.tenure import (
    JournalAppend,
    JournalEntry,
    SessionAssign,
    SessionContinue,
    SessionUnsaved,
    Subject,
)
from broker.messages.cluster.trunk import Principal, TrunkHello
from broker.messages.parts import EngagementIds
from broker.policy import Policy
from broker.trunk import Frame, FrameDecoder
from broker.words import Mode, Role, Surface
from tests.patience import PATIENCE

KEY = b"k" * 32
WAIT_S = 5.0 * PATIENCE
CLAIM = "c" * 64
STRANGER = "d" * 64
IDS = EngagementIds(account_id="acc", rt_session_id="eng")
AGENT = Principal(role=Role.AGENT, account_id="acc", agent_id="7", name="Alex", verified=True)
CONSUMER = Principal(role=Role.CONSUMER, account_id="acc", claim_hash=CLAIM, name="Casey")

Message = dict[str, Any]


def hello_of(principal: Principal, **fields: Any) -> TrunkHello:
    """What a gateway says to this session for somebody; `fields` replace some of it."""
    said: dict[str, Any] = {
        "session_id": "s-1",
        "epoch": 1,
        "connection_id": "c1",
        "gateway_id": "g1",
        "principal": principal,
        "surface": Surface.AGENT_FRAME,
        "visible": True,
    }
    return TrunkHello(**said | fields)


class FakeLedger:
    """Keeps what was appended; can hold appends back, fail them, or be away."""

    def __init__(self) -> None:
        self.requests = itertools.count(1)
        """Numbers what is asked of the session in all tenures: they know each other's."""
        self.entries: list[JournalEntry] = []
        self.subjects: dict[str, Subject] = {}
        self.appends: list[JournalAppend] = []
        self.grew = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.reachable = True
        self.failure: Exception | None = None
        self.refused = asyncio.Event()
        """An append has failed by that."""

    async def append(self, append: JournalAppend) -> None:
        if not self.reachable:
            raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is away.")
        await self.open.wait()
        if self.failure is not None:
            self.refused.set()
            raise self.failure
        self.appends.append(append)
        known = {entry.seq for entry in self.entries}
        self.entries += [entry for entry in append.entries if entry.seq not in known]
        self.grew.set()
        self.subjects |= {subject.participant_id: subject for subject in append.subjects}

    def types(self) -> list[str]:
        return [entry.type for entry in self.entries]


class FakeTransport:
    """The kernel's side of a trunk: bytes written, and how many it has not yet taken."""

    def __init__(self) -> None:
        self.decoder = FrameDecoder()
        self.messages: list[Message] = []
        self.closes: list[Message] = []
        self.unsent = 0
        self.closing = False
        self.changed = asyncio.Condition()

    def write(self, data: bytes) -> None:
        for kind, body in self.decoder.feed(data):
            if kind is Frame.MESSAGE:
                self.messages.append(json.loads(body))
            elif kind is Frame.CLOSE:
                self.closes.append(json.loads(body))
                if self.closes[-1]["last"] is not None:
                    self.messages.append(json.loads(self.closes[-1]["last"]))

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Trunk:
    """One widget connection on the stage."""

    _ids = itertools.count(1)

    def __init__(
        self,
        surface: Surface,
        visible: bool = True,
        widget_id: str | None = None,
        attempt: int = 0,
        former_widget_id: str | None = None,
    ) -> None:
        self.transport = FakeTransport()
        self.end: ListenedEnd = ListeningEnd(KEY, b"n" * 32, lambda end, hello: None, promise)
        self.end.link.connection_made(self.transport)
        self.connection = Connection(
            f"c{next(self._ids)}",
            self.end,
            surface,
            visible,
            widget_id,
            attempt,
            former_widget_id,
        )

    @property
    def heard(self) -> list[Message]:
        return self.transport.messages

    def types(self) -> list[str]:
        return [message["type"] for message in self.heard]

    def last(self, type_: str) -> Message:
        found = [message for message in self.heard if message["type"] == type_]
        assert found, f"no {type_}; heard {self.types()}"
        return found[-1]


class Stage:
    """A session with its agent connected; close it at the end."""

    def __init__(
        self, policy: Policy | None = None, epoch: int = 1, *, config: SessionConfig | None = None
    ) -> None:
        self.now_ms = 1_000_000
        self.ledger = FakeLedger()
        self.over: list[LiveSession] = []
        self.unsaved: list[SessionUnsaved] = []
        """What gateways were told to keep, in order."""
        self.session = LiveSession(
            "s-1",
            epoch,
            "acc",
            "eng",
            IDS,
            policy or Policy(),
            config=config or SessionConfig(node="n", trunk_key=KEY),
            store=self.ledger,
            now_ms=lambda: self.now_ms,
            on_over=self.over.append,
            tell_unsaved=self.unsaved.append,
        )
        self.requests = Requests(self.session)

    async def begin(self) -> Trunk:
        """Assign, commit, and connect the agent's frame."""
        await self.begin_unattended()
        return self.connect(self.agent, Surface.AGENT_FRAME)

    async def begin_unattended(self, opened_by: str | None = None) -> None:
        """Assign and commit; nobody has connected."""
        first = self.session.begin(
            SessionAssign(
                session_id="s-1",
                epoch=1,
                account_id="acc",
                engagement_key="eng",
                ids=IDS,
                mode=Mode.VIDEO,
                owner=AGENT,
                policy={},
                opened_by=opened_by,
            )
        )
        self.ledger.entries += first.entries
        self.ledger.subjects |= {subject.participant_id: subject for subject in first.subjects}
        await self.session.commit()

    async def take_over(self, ledger: FakeLedger) -> None:
        """Continue from what a ledger holds."""
        self.ledger = ledger
        self.session._store = ledger
        first = self.session.resume(
            SessionContinue(
                session_id="s-1",
                epoch=2,
                account_id="acc",
                engagement_key="eng",
                ids=IDS,
                policy={},
                entries=ledger.entries,
                subjects=list(ledger.subjects.values()),
            )
        )
        ledger.entries += first.entries
        await self.session.commit()

    async def close(self) -> None:
        await self.session.close()

    @property
    def agent(self) -> Person:
        person = self.session.people.of_agent("7")
        assert person is not None
        return person

    def consumer(self, claim: str = CLAIM) -> Person:
        """The consumer known by this claim; new when there is none."""
        person = self.session.people.of_claim(claim)
        if person is None:
            participant_id = self.session.decided.consumer_id or f"p-{claim[:3]}"
            person = Person(participant_id, CONSUMER.model_copy(update={"claim_hash": claim}))
            self.session.people[person.participant_id] = person
        return person

    def come(self, principal: Principal) -> Person:
        """Say hello on a window's surface as the gateway does. Raises what the session refuses."""
        came: list[Person] = []
        hello = hello_of(principal, epoch=self.session.epoch, surface=Surface.WINDOW)
        admit(self.session, hello, came.append)
        [person] = came
        return person

    def connect(
        self,
        person: Person,
        surface: Surface,
        *,
        last_seq: int | None = None,
        widget_id: str | None = None,
        attempt: int = 0,
        former_widget_id: str | None = None,
    ) -> Trunk:
        """A widget comes, or comes back: then `widget_id` is that of its first connection, and
        `former_widget_id` that of its page before a reload."""
        trunk = Trunk(
            surface, widget_id=widget_id, attempt=attempt, former_widget_id=former_widget_id
        )
        self.session.comings.connect(person, trunk.connection, last_seq)
        return trunk

    def disconnect(self, person: Person, trunk: Trunk) -> None:
        self.session.comings.disconnect(person, trunk.connection)

    def ask(self, person: Person, trunk: Trunk, type_: str, **fields: Any) -> str:
        """Send a request; returns its id."""
        request_id = fields.pop("id", f"r{next(self.ledger.requests)}")
        data = json.dumps({"type": type_, "id": request_id, **fields}).encode()
        self.requests.handle(person, trunk.connection, data)
        return str(request_id)

    def accept(self, consumer: Trunk) -> None:
        """Answer with video what rings on one of the consumer's surfaces."""
        invitation = consumer.last("session.snapshot")["invitation"]["invitation_id"]
        self.ask(
            self.consumer(), consumer, "invitation.accept", invitation_id=invitation, mode="video"
        )

    async def settle(self) -> None:
        """Let the journal write what it may write now."""
        if self.ledger.open.is_set() and self.ledger.reachable and self.ledger.failure is None:
            assert await self.session.flush(WAIT_S)
        for _ in range(3):
            await asyncio.sleep(0)

    async def ringing(self) -> tuple[Trunk, Trunk]:
        """Agent and consumer, the invitation ringing."""
        agent = await self.begin()
        consumer = self.connect(self.consumer(), Surface.LAUNCHER)
        await self.settle()
        return agent, consumer

    async def guest(self, name: str = "guest", *, admitted: bool = False) -> tuple[Person, Trunk]:
        """Somebody who followed a link named after them: in the lobby, or let in."""
        by = self.agent.participant_id
        self.session.do(InviteGuest(by, name, f"hash-{name}", 1, 60_000))
        principal = Principal(role=Role.GUEST, account_id="acc", name=name.capitalize())
        guest = Person(f"p-{name}", principal)
        self.session.people[guest.participant_id] = guest
        self.session.do(JoinGuest(guest.participant_id, name))
        if admitted:
            self.session.do(Admit(by, guest.participant_id))
        trunk = self.connect(guest, Surface.GUEST_PAGE)
        await self.settle()
        return guest, trunk

    async def talking(self) -> tuple[Trunk, Trunk]:
        """Agent and consumer in the session."""
        agent, consumer = await self.ringing()
        self.accept(consumer)
        await self.settle()
        return agent, consumer
