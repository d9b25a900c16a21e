"""Session actors that speak the real links over loopback, for gateways to meet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from broker.errors import Conflict, ErrorCode, NotFound, SwitchboardError
from broker.link import ListeningEnd, Reply
from broker.messages.cluster.base import read
from broker.messages.cluster.deeds import SessionCommand, SessionCommandDone
from broker.messages.cluster.trunk import Location, TrunkClose, TrunkHello, TrunkReady
from broker.trunk import Frame
from tests.gateway.listening import End, Future, Listening


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


class BusySession(FakeSession):
    """A session actor that answers each request, and reads nothing while it is `busy`."""

    def __init__(self, key: bytes, session_id: str) -> None:
        super().__init__(key, session_id)
        self.busy = False
        self.unread: list[Callable[[], None]] = []

    def prepare(self, end: ListeningEnd[Future]) -> None:
        super().prepare(end)
        read_now = end.link.data_received

        def received(data: bytes) -> None:
            if self.busy:
                self.unread.append(partial(read_now, data))
                self.signal.changed()
            else:
                read_now(data)

        end.link.data_received = received  # type: ignore[method-assign]

    def go_on(self) -> None:
        """Read what has come, and whatever comes."""
        self.busy = False
        unread, self.unread = self.unread, []
        for each in unread:
            each()

    def _on_frame(self, end: End, kind: Frame, body: bytes) -> None:
        super()._on_frame(end, kind, body)
        done = {"type": "request.done", "reply_to": json.loads(body)["id"], "seq": 9}
        end.link.send(Frame.MESSAGE, json.dumps(done).encode())


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
