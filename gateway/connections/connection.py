"""One widget's WebSocket, and the pump between widget and session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from broker.close_codes import CloseCode
from broker.errors import (
    ErrorCode,
    Internal,
    Malformed,
    SwitchboardError,
    TooFast,
)
from broker.messages import MAX_MESSAGE_BYTES, encode
from broker.messages.cluster.trunk import Location, Principal, TrunkClose, TrunkReady
from broker.messages.facts import ResumeRenewed
from broker.tracing import Traces
from broker.words import Role
from gateway.connections.asking import AskingRates
from gateway.connections.greeting import Greeting
from gateway.connections.outbox import Outbox, Pipe, Send
from gateway.connections.overheard import Overheard, concerns_gateway
from gateway.connections.stages import STEPS, Stage
from gateway.connections.standing import Standing
from gateway.connections.steward import Steward
from gateway.connections.unattached import Unattached
from gateway.connections.unsaved import UnsavedCourier
from gateway.connections.welcome import Welcome
from gateway.limits import TokenBucket
from gateway.links.directory import Directory
from gateway.links.trunks import Pulse, Trunk
from gateway.metrics import Metrics
from gateway.origins import veiled
from gateway.proofs.tokens import Tokens
from gateway.refusals import close_code_of, refused
from gateway.settings import Settings
from gateway.tracing import traced

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_HEAD_BYTES = 96
"""How much of an actor's message is looked at for what it answers."""
_REPLY = b'"reply_to"'


class Room(Protocol):
    """What the connections of one gateway share."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def asking(self) -> AskingRates: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def trunk_key(self) -> bytes: ...
    @property
    def pulse(self) -> Pulse: ...
    @property
    def unsaved(self) -> UnsavedCourier: ...
    @property
    def traces(self) -> Traces | None: ...

    def on_greeted(self, connection: Connection, *, is_proved: bool) -> None:
        """The connection's hello held. Raises TooFast when too many prove nothing."""
        ...

    def on_attached(self, connection: Connection, session_id: str) -> None:
        """The connection is in a session."""
        ...

    def on_detached(self, connection: Connection, session_id: str) -> None:
        """The connection has left it; one that moves with its session has not."""
        ...

    def on_closed(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection:
    """A widget's WebSocket, from accept to close.

    The reader (`run`) is the ASGI task; what must be awaited besides is the steward's. Callbacks
    of trunk and ledger come from the loop and never wait.

    Either side's end, `close()`, or the switchroom's stop closes it; that closes its trunk and
    forgets its presence. The session goes on.
    """

    def __init__(
        self,
        connection_id: str,
        room: Room,
        receive: Receive,
        send: Send,
        pipe: Pipe,
        now: float,
        address: str,
    ) -> None:
        self.connection_id = connection_id
        self.address = address
        """Where it came from, for limits of rate."""
        self.stage = Stage.GREETING
        self.standing: Standing | None = None
        self.heard_at = now
        """Loop time of the widget's last message."""
        self._room = room
        self._receive = receive
        self._limits = limits = room.settings.limits
        self._bucket = TokenBucket(limits.messages_per_s, limits.message_burst)
        self._pipe = pipe
        self._outbox = Outbox(pipe, send, max_bytes=limits.outgoing_bytes, on_stuck=self._on_stuck)
        self._steward = Steward(
            self,
            room.directory,
            room.settings,
            room.metrics,
            room.trunk_key,
            room.unsaved,
            room.traces,
        )
        self._loop = asyncio.get_running_loop()
        self._trunk: Trunk | None = None
        self._former: Trunk | None = None
        """The trunk before, while the next is dialled: its actor may answer what it was asked."""
        self._held: list[bytes] = []
        self._is_reading = False
        pipe.on_text = self._take_text
        self.unattached = Unattached(self, room, self._steward)
        self._overheard = Overheard(self, self._steward)
        self._welcome = Welcome(self, room, self._steward)

    @property
    def principal(self) -> Principal | None:
        """Who is connected, once the hello held."""
        return None if self.standing is None else self.standing.principal

    @property
    def role(self) -> Role:
        """Who speaks, once the hello held."""
        assert self.standing is not None
        return self.standing.principal.role

    def may_stand_at(self, keys: Sequence[str]) -> bool:
        """Whether the widget may be rung by these keys; each that is new to it costs."""
        standing, asking, now = self.standing, self._room.asking, self._loop.time()
        assert standing is not None
        new = standing.new_keys(keys)
        if new and not (
            asking.from_address(self.address, now)
            and asking.about(standing.principal.account_id, new, now)
        ):
            return False
        standing.stands_at(keys)
        return True

    @property
    def is_there(self) -> bool:
        """Whether the widget's end still stands, as far as is known."""
        return self.stage is not Stage.CLOSED and self._pipe.is_open

    # The reader.

    async def run(self) -> None:
        """Serve the accepted WebSocket until it is gone. Closes everything it opened."""
        try:
            data = await self._first()
            if data is not None:
                with traced(self._room.traces, "connection.hello", "server", begins=True):
                    await self._welcome.answer(data)
                await self._pump()
        except Exception as error:
            self.fail(error)
        finally:
            self.close(CloseCode.NORMAL, "")
            await self._steward.close()
            await self._outbox.finished()

    async def _first(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._limits.hello_timeout_s):
                message = await self._receive()
        except TimeoutError:
            # Nothing is wrong with who is late: a laptop was closed between socket and hello.
            raise TooFast(ErrorCode.HELLO_TIMEOUT, "No connection.hello came in time.") from None
        return self._read(message)

    def _read(self, message: MutableMapping[str, Any]) -> bytes | None:
        """Return a message's bytes; `None` when the widget is gone."""
        text: str | None = message.get("text")
        if text is None:
            if message["type"] == "websocket.disconnect":
                return None
            raise Malformed(ErrorCode.BINARY_FRAME, "Messages are text; a binary frame came.")
        data = text.encode()
        if len(data) > MAX_MESSAGE_BYTES:
            raise Malformed(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"A message may have {MAX_MESSAGE_BYTES} bytes at most.",
            )
        self.heard_at = self._loop.time()
        return data

    async def _pump(self) -> None:
        loop, receive, bucket = self._loop, self._receive, self._bucket
        while True:
            self._is_reading = True
            message = await receive()
            self._is_reading = False
            data = self._read(message)
            if data is None:
                return
            wait_s = bucket.reserve(loop.time())
            if wait_s > 0.0:
                # Not reading is the answer to a flood: the widget's own socket fills up.
                await asyncio.sleep(wait_s)
            trunk = self._trunk
            if self.stage is Stage.ATTACHED and trunk is not None:
                if self._overheard.keeps(data):
                    continue
                if not trunk.send(data):
                    self._hold(data)
                elif not trunk.writable:
                    await trunk.drained()
            elif self.stage is Stage.MOVING:
                if not self._overheard.keeps(data):
                    self._hold(data)
            elif self.stage is Stage.CLOSED:
                return
            else:
                self.unattached.on_message(data)

    def _take_text(self, data: bytes) -> bool:
        """Pass a message on in the callback that brought it, when nothing stands against it.

        False leaves it to the reader: while that is busy, and for whatever needs a second look.
        """
        trunk = self._trunk
        if (
            not self._is_reading
            or self.stage is not Stage.ATTACHED
            or trunk is None
            or not trunk.writable
            or len(data) > MAX_MESSAGE_BYTES
        ):
            return False
        if concerns_gateway(data):
            return False
        now = self._loop.time()
        if not self._bucket.take(now):
            return False
        self.heard_at = now
        return trunk.send(data)

    def _hold(self, data: bytes) -> None:
        if len(self._held) >= self._limits.held_messages:
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many messages while the session moves.")
        self._held.append(data)

    # Word from ledger, trunk and switchroom; none of these waits.

    def on_relocated(self, location: Location) -> None:
        """Another actor holds the session."""
        trunk = self._trunk
        if (
            self.stage is Stage.ATTACHED
            and trunk is not None
            and trunk.location.session_id == location.session_id
            and trunk.location.epoch < location.epoch
        ):
            # The actor before decides nothing any more, and says so to whoever asks it.
            self._former, self._trunk = trunk, None
            self._room.pulse.drop(trunk)
            trunk.ask_last()
            self._leave(trunk, location)

    def on_displaced(self) -> None:
        """Another address that waits less has its place among those who may be rung."""
        if self.stage not in (Stage.ATTACHED, Stage.MOVING, Stage.CLOSED):
            # Also while it is greeted: it would wait on and be in nobody's list.
            self.fail(TooFast(ErrorCode.RATE_LIMITED, "Too many connections wait."))

    async def heard_out(self) -> None:
        """Wait until the actor before has answered what it was asked, if it lives."""
        former = self._former
        if former is not None and not await former.answered(self._limits.last_answers_s):
            logger.info("the actor before left requests unanswered", extra=self.facts())

    def on_trunk_message(self, data: bytes) -> None:
        """Pass a session's message on; of one that is handed over only what answers a request."""
        if self._former is None or _REPLY in data[:_HEAD_BYTES]:
            self._outbox.put(data)

    def on_trunk_close(self, trunk: Trunk, end: TrunkClose) -> None:
        """The actor ends the connection, or sends it back to where it was."""
        if trunk is not self._trunk:
            return
        self._detach()
        stays = end.to_waiting and self.standing is not None
        if stays:
            self.unattached.forget()
            self._held.clear()
            self.rest()
        if end.last is not None:
            self.put(end.last.encode())
        if stays:
            self._steward.rest(trunk)
        else:
            self.close(end.code, end.reason)

    def on_trunk_lost(self, trunk: Trunk) -> None:
        """The trunk broke."""
        if trunk is self._trunk and self.stage is Stage.ATTACHED:
            logger.warning("trunk lost", extra=self.facts())
            self._detach()
            self._leave(trunk, trunk.location)

    def greeted(self, greeting: Greeting) -> None:
        """The widget's hello held. Raises TooFast when too many of its address prove nothing."""
        self._room.on_greeted(self, is_proved=greeting.is_proved)
        origin = veiled(self.address, self._room.trunk_key)
        self.standing = Standing(self.connection_id, greeting, origin)

    def attached(self, trunk: Trunk, ready: TrunkReady) -> None:
        """Carry the widget's messages by this trunk from now on."""
        if Stage.ATTACHED not in STEPS[self.stage]:
            trunk.close()
            return
        assert self.standing is not None
        self._advance(Stage.ATTACHED)
        self.unattached.came_into(trunk.location.session_id)
        self._detach()
        self._trunk = trunk
        self._room.pulse.watch(trunk)
        self._room.on_attached(self, trunk.location.session_id)
        self.standing.came_into(trunk.location.session_id, ready)
        sealed = self._room.tokens.seal(self.standing.resume_pass(trunk.location, ready))
        self.put(encode(ResumeRenewed(resume=sealed)))
        trunk.open()
        held, self._held = self._held, []
        if trunk is self._trunk:
            # What was said to this session is not said to another one.
            self._held.extend(data for data in held if not trunk.send(data))

    def rest(self) -> None:
        """Stand without a session."""
        assert self.standing is not None
        self._advance(Stage.WAITING if self.standing.is_rung else Stage.IDLE)

    def sent_home(self, last: bytes) -> None:
        """The session that was looked for is over: say so, and stand where one stood before it."""
        if self.stage is Stage.MOVING:
            self._detach()
            self.unattached.forget()
            self._held.clear()
            self.rest()
            self.put(last)

    # Ends.

    def put(self, data: bytes) -> None:
        """Send the widget a message of the gateway's own."""
        self._outbox.put(data)

    def fail(self, error: Exception) -> None:
        """Say why, and close with the code of the error's class."""
        if not isinstance(error, SwitchboardError):
            logger.error("connection failed", exc_info=error, extra=self.facts())
            error = Internal(ErrorCode.INTERNAL, "Something went wrong on our side.")
        logger.info("connection refused", extra=self.facts(code=str(error.code)))
        self._room.metrics.refusals.labels(code=str(error.code)).inc()
        self.put(refused(error, None))
        self.close(close_code_of(error), error.message)

    def close(self, code: int, reason: str) -> None:
        """End the connection and what it opened; harmless when closed."""
        if self.stage is Stage.CLOSED:
            return
        self._advance(Stage.CLOSED)
        self.unattached.close()
        self._detach()
        self._room.on_closed(self)
        self._outbox.close(code, reason)

    def facts(self, **more: object) -> dict[str, object]:
        """Return what every log line of this connection carries."""
        session_id = None if self._trunk is None else self._trunk.location.session_id
        return {
            "connection_id": self.connection_id,
            "session_id": session_id,
            "stage": str(self.stage),
            **more,
        }

    def _on_stuck(self) -> None:
        logger.warning("widget does not read", extra=self.facts())
        self.close(CloseCode.TOO_FAST_OR_SLOW, "The widget does not read fast enough.")

    def _leave(self, trunk: Trunk, location: Location) -> None:
        self._advance(Stage.MOVING)
        self._steward.move(trunk, location)

    def _detach(self) -> None:
        former, self._former = self._former, None
        trunk, self._trunk = self._trunk, None
        for each in (former, trunk):
            if each is not None:
                self._room.pulse.drop(each)
                each.close()
                self._room.on_detached(self, each.location.session_id)

    def _advance(self, stage: Stage) -> None:
        """Take a step of the table; the only place where `stage` changes."""
        if stage not in STEPS[self.stage]:
            raise Internal(ErrorCode.INTERNAL, f"No step from {self.stage} to {stage}.")
        self.stage = stage
