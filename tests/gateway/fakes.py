"""A ledger and session actors that speak the real links over loopback, for gateways to meet."""

from __future__ import annotations

import asyncio
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

from broker.errors import Conflict, ErrorCode, NotFound, SwitchboardError
from broker.link import LinkEnd, ListeningEnd, Reply
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.deeds import SessionCommand, SessionCommandDone
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.records import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.messages.cluster.sessions import (
    GuestLocated,
    SessionAttach,
    SessionLocate,
    SessionOpen,
    SessionRelocated,
    SessionTakeover,
)
from broker.messages.cluster.trunk import Location, TrunkClose, TrunkHello, TrunkReady
from broker.messages.sharing import AnswerClaimed, Claim, LoginHand, Revocation, Revocations
from broker.trunk import Frame
from broker.words import Reach

Future = asyncio.Future[bytes]
End = LinkEnd["asyncio.Future[bytes]"]
WAIT_S = 5.0


class Signal:
    """Lets a test wait until something is true; whoever changes something calls `changed`."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Event] = set()

    def changed(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def until(self, holds: Callable[[], object]) -> None:
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(WAIT_S):
                while not holds():
                    waiter.clear()
                    await waiter.wait()
        finally:
            self._waiters.discard(waiter)


class Listening(ABC):
    """A TCP listener of links; base of both fakes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._server: asyncio.Server | None = None
        self.ends: list[ListeningEnd[Future]] = []
        self.signal = Signal()
        self.port = 0

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: cast("asyncio.Protocol", self._make().link), "127.0.0.1", port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die: refuse new links and reset those there are."""
        if self._server is not None:
            self._server.close()
        for end in self.ends:
            end.link.abort()
        await self.signal.until(lambda: not self.ends)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def _make(self) -> ListeningEnd[Future]:
        loop = asyncio.get_running_loop()
        end: ListeningEnd[Future] = ListeningEnd(
            self._key, secrets.token_bytes(32), self.on_hello, loop.create_future
        )
        end.on_lost = self._on_lost
        self.prepare(end)
        self.ends.append(end)
        return end

    def _on_lost(self, end: End) -> None:
        self.ends.remove(cast("ListeningEnd[Future]", end))
        self.on_lost(end)
        self.signal.changed()

    @abstractmethod
    def prepare(self, end: ListeningEnd[Future]) -> None: ...

    @abstractmethod
    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None: ...

    @abstractmethod
    def on_lost(self, end: End) -> None: ...


@dataclass
class Caller:
    """One trunk as a fake session actor sees it."""

    end: ListeningEnd[Future]
    hello: TrunkHello
    messages: list[dict[str, Any]] = field(default_factory=list)

    def say(self, **message: Any) -> None:
        """Send the widget a message."""
        self.end.link.send(Frame.MESSAGE, json.dumps(message).encode())

    def close(
        self, code: int, reason: str, *, to_waiting: bool = False, last: str | None = None
    ) -> None:
        """End the connection as an actor does."""
        body = TrunkClose(code=code, reason=reason, to_waiting=to_waiting, last=last)
        self.end.link.send(Frame.CLOSE, body.to_bytes())


class FakeSession(Listening):
    """A session actor: accepts trunks, keeps what widgets say, greets with a snapshot.

    `refusal` is answered instead of accepting; `echo` sends every message back at once. While
    `held` it leaves trunks at the door, until `let_in`.
    """

    def __init__(self, key: bytes, session_id: str, epoch: int = 1) -> None:
        super().__init__(key)
        self.session_id = session_id
        self.epoch = epoch
        self.callers: dict[str, Caller] = {}
        self.seen: list[TrunkHello] = []
        self.refusal: SwitchboardError | None = None
        self.echo = False
        self.held = False
        self._at_the_door: list[tuple[ListeningEnd[Future], bytes]] = []
        self.account_id = "acc"
        self.engagement_key = "eng-1"

    @property
    def location(self) -> Location:
        return Location(
            session_id=self.session_id,
            epoch=self.epoch,
            host="127.0.0.1",
            port=self.port,
            account_id=self.account_id,
            engagement_key=self.engagement_key,
        )

    def prepare(self, end: ListeningEnd[Future]) -> None:
        end.on_frame = self._on_frame

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        said = read(TrunkHello, hello)
        self.seen.append(said)
        self.signal.changed()
        if self.held:
            self._at_the_door.append((end, hello))
            return
        if self.refusal is not None:
            end.refuse(self.refusal)
            return
        if said.session_id != self.session_id:
            end.refuse(NotFound(ErrorCode.UNKNOWN_SESSION, "Not here."))
            return
        if said.epoch != self.epoch:
            end.refuse(Conflict(ErrorCode.STALE_EPOCH, "Another tenure."))
            return
        participant_id = said.principal.participant_id or f"p-{len(self.seen)}"
        end.accept(TrunkReady(participant_id=participant_id, epoch=self.epoch).to_bytes())
        caller = Caller(end, said)
        self.callers[said.connection_id] = caller
        caller.say(type="session.snapshot", seq=1, epoch=self.epoch, session_id=self.session_id)
        self.signal.changed()

    def let_in(self) -> None:
        """Accept who was left at the door, and whoever comes from now on."""
        self.held = False
        waiting, self._at_the_door = self._at_the_door, []
        for end, hello in waiting:
            self.on_hello(end, hello)

    def _on_frame(self, end: End, kind: Frame, body: bytes) -> None:
        if self.echo:
            end.link.send(kind, body)
            return
        for caller in self.callers.values():
            if caller.end is end:
                caller.messages.append(json.loads(body))
        self.signal.changed()

    def on_lost(self, end: End) -> None:
        self.callers = {key: each for key, each in self.callers.items() if each.end is not end}

    async def caller(self, count: int = 1) -> Caller:
        """Wait for that many trunks and return the newest."""
        await self.signal.until(lambda: len(self.callers) >= count)
        return list(self.callers.values())[-1]


class FakeLedger(Listening):
    """A ledger in memory. Tests put sessions into `live`, `guests` and `records`.

    `faults` maps a method to an error to answer; `takeovers` records what was asked.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.puts: dict[str, PresencePut] = {}
        self.watches: dict[str, PresenceWatch] = {}
        self.live: dict[str, Location] = {}
        self.places: dict[str, Location] = {}
        self.guests: dict[str, GuestLocated] = {}
        self.records: dict[str, SessionRecord] = {}
        self.opened: list[SessionOpen] = []
        self.takeovers: list[SessionTakeover] = []
        self.faults: dict[str, SwitchboardError] = {}
        self.on_open: Callable[[SessionOpen], Awaitable[Location]] | None = None
        self.on_takeover: Callable[[SessionTakeover], Awaitable[Location]] | None = None
        self.others: dict[str, Callable[[bytes], ClusterMessage]] = {}
        self.revocations: list[Revocation] = []
        self.answers: dict[str, tuple[str, str | None]] = {}
        self.listed = False
        """Whether a gateway has asked for the revocations since the last start."""
        self._claimed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, end: ListeningEnd[Future]) -> None:
        end.on_call = self._on_call

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        end.accept(json.dumps({"term": 1}).encode())
        self.signal.changed()

    def on_lost(self, end: End) -> None:
        self.listed = False
        # Presence is gone with the gateway's link.
        self.puts.clear()
        self.watches.clear()

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(method, payload, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, method: str, payload: bytes, reply: Reply) -> None:
        try:
            if method in self.faults:
                raise self.faults[method]
            reply.done((await self._handle(method, payload)).to_bytes())
        except SwitchboardError as error:
            reply.fault(error)
        self.signal.changed()

    async def _handle(self, method: str, payload: bytes) -> ClusterMessage:
        data = json.loads(payload)
        match method:
            case "presence.put":
                put = read(PresencePut, payload)
                self.puts[put.connection_id] = put
                live = next((self.live[key] for key in put.keys if key in self.live), None)
                return PresenceState(connection_id=put.connection_id, live=live)
            case "presence.watch":
                watch = read(PresenceWatch, payload)
                self.watches[watch.connection_id] = watch
                return self.state_for(watch)
            case "presence.drop":
                self.puts.pop(data["connection_id"], None)
                return Done()
            case "presence.unwatch":
                self.watches.pop(data["connection_id"], None)
                return Done()
            case "session.open":
                asked = read(SessionOpen, payload)
                self.opened.append(asked)
                assert self.on_open is not None
                return await self.on_open(asked)
            case "session.locate":
                return self._place(read(SessionLocate, payload).session_id)
            case "session.takeover":
                request = read(SessionTakeover, payload)
                self.takeovers.append(request)
                self.signal.changed()
                if self.on_takeover is not None:
                    return await self.on_takeover(request)
                return self._place(request.session_id)
            case "guest.locate":
                found = self.guests.get(data["code_hash"])
                if found is None:
                    raise NotFound(ErrorCode.UNKNOWN_INVITATION, "No such link.")
                return found
            case "record.list":
                query = read(RecordQuery, payload)
                mine = [
                    r
                    for r in self.records.values()
                    if query.account_id in (None, r.account_id) and query.phase in (None, r.phase)
                ]
                return RecordPage(records=mine[: query.limit])
            case "record.get":
                get = read(RecordGet, payload)
                record = self.records.get(get.session_id)
                if record is None or get.account_id not in (None, record.account_id):
                    raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")
                return record
            case "login.hand":
                self.notify("login.handed", read(LoginHand, payload))
                return Done()
            case "revocation.add":
                self.revocations.append(read(Revocation, payload))
                self.notify("revocation.added", self.revocations[-1])
                return Done()
            case "revocation.list":
                self.listed = True
                return Revocations(revocations=self.revocations)
            case "answer.claim" | "answer.settle" | "answer.release":
                return self._keep_answer(method, data)
            case _:
                return self.others[method](payload)

    def _keep_answer(self, method: str, data: dict[str, Any]) -> ClusterMessage:
        place = data["place"]
        match method:
            case "answer.claim":
                known = self.answers.setdefault(place, (data["fingerprint"], None))
                fresh = known == (data["fingerprint"], None) and place not in self._claimed
                self._claimed.add(place)
                if fresh:
                    return AnswerClaimed(claim=Claim.FIRST)
                if known[0] != data["fingerprint"]:
                    return AnswerClaimed(claim=Claim.OTHER_BODY)
                if known[1] is None:
                    return AnswerClaimed(claim=Claim.RUNNING)
                return AnswerClaimed(claim=Claim.ANSWERED, sealed=known[1])
            case "answer.settle":
                self.answers[place] = (self.answers[place][0], data["sealed"])
            case _:
                del self.answers[place]
                self._claimed.discard(place)
        return Done()

    def _place(self, session_id: str) -> Location:
        if session_id not in self.places:
            raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")
        return self.places[session_id]

    def state_for(self, watch: PresenceWatch) -> PresenceState:
        """What a watcher would be told now."""
        rung = [put for put in self.puts.values() if watch.key in put.keys]
        reach = Reach.ABSENT
        if rung:
            reach = Reach.REACHABLE if any(put.visible for put in rung) else Reach.HIDDEN
        return PresenceState(
            connection_id=watch.connection_id,
            reach=reach,
            surfaces=[put.surface for put in rung],
            live=self.live.get(watch.key),
        )

    def notify(self, method: str, body: ClusterMessage) -> None:
        """Tell every gateway something."""
        for end in self.ends:
            end.notify(method, body.to_bytes())

    def tell_watchers(self) -> None:
        """Send `presence.changed` to everybody who watches."""
        for watch in self.watches.values():
            self.notify("presence.changed", self.state_for(watch))

    def attach(self, session: FakeSession) -> None:
        """Say that a session exists, as after `session.open`."""
        self.live[session.engagement_key] = session.location
        self.places[session.session_id] = session.location
        for put in self.puts.values():
            if session.engagement_key in put.keys:
                self.notify(
                    "session.attach",
                    SessionAttach(connection_id=put.connection_id, location=session.location),
                )

    def relocate(self, session: FakeSession) -> None:
        """Say that another actor holds the session."""
        self.places[session.session_id] = session.location
        self.live[session.engagement_key] = session.location
        self.notify("session.relocated", SessionRelocated(location=session.location))


@asynccontextmanager
async def running(task: Awaitable[None]) -> AsyncIterator[None]:
    """Own a background task for the length of a block."""
    owned = asyncio.ensure_future(task)
    try:
        yield
    finally:
        owned.cancel()
        with suppress(asyncio.CancelledError):
            await owned


class BackendSession(FakeSession):
    """A session actor that takes the backend's calls. Hangs up instead when `silent`."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key, "s-1")
        self.asked: list[SessionCommand] = []
        self.fault: SwitchboardError | None = None
        self.silent = False
        self.done = SessionCommandDone(guest_invitation_id="g", url="u", expires_in_ms=1)

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        said = read(TrunkHello, hello)
        assert said.backend
        assert said.principal.agent_id is None
        self.seen.append(said)
        end.on_call = self._on_call
        end.accept(TrunkReady(participant_id="backend", epoch=said.epoch).to_bytes())

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        self.asked.append(read(SessionCommand, payload))
        if self.silent:
            end.link.abort()
        elif self.fault is not None:
            reply.fault(self.fault)
        else:
            reply.done(self.done.to_bytes())
