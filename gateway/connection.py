"""One widget's WebSocket: greeting, waiting, and the pump between widget and session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from broker.errors import (
    Conflict,
    ErrorCode,
    Gone,
    Internal,
    Malformed,
    NotFound,
    SwitchboardError,
    TooFast,
    Unauthenticated,
    Unavailable,
)
from broker.messages import MAX_MESSAGE_BYTES, PROTOCOL_REVISION, decode_client_message, encode
from broker.messages.client import (
    ConnectionHello,
    ConnectionPing,
    EngagementUpdate,
    SessionStart,
    SurfaceUpdate,
)
from broker.messages.cluster import (
    Location,
    PresencePut,
    PresenceState,
    PresenceWatch,
    Principal,
    SessionOpen,
    TrunkClose,
    TrunkHello,
    TrunkReady,
)
from broker.messages.facts import (
    ConnectionPong,
    ConnectionWelcome,
    ReachChanged,
    RequestDone,
    ResumeRenewed,
    SessionMoved,
)
from broker.messages.parts import EngagementIds, ReachView
from broker.words import Role
from gateway.attachment import attach
from gateway.directory import Directory
from gateway.greeting import Greeting, agent_key, greet, waiting_keys
from gateway.limits import TokenBucket
from gateway.metrics import Metrics
from gateway.outbox import Outbox, Pipe, Send
from gateway.refusals import CloseCode, close_code_of, refused
from gateway.settings import Settings
from gateway.stages import STEPS, UNATTACHED, Stage
from gateway.tokens import ResumePass, Tokens
from gateway.trunks import Pulse, Trunk

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
PONG = encode(ConnectionPong())
REATTACH_PAUSE_S = 1.0
"""Least time between leaving a session's trunk and dialling the same session again."""
_HEAD_BYTES = 96
"""How much of an attached widget's message is looked at for the gateway's own types."""
_OWN_TYPES = (b'"connection.ping"', b'"surface.update"', b'"engagement.update"')


class Room(Protocol):
    """What the connections of one gateway share."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def trunk_key(self) -> bytes: ...
    @property
    def pulse(self) -> Pulse: ...

    def on_greeted(self, connection: Connection) -> None:
        """The connection's hello held."""
        ...

    def on_closed(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection:
    """A widget's WebSocket, from accept to close.

    Three things run: the reader (`run`, the ASGI task), the outbox's writer while something waits,
    and the *steward*: a task that exists only while something must be awaited (attaching, moving,
    registering, opening a session). Callbacks from trunk and ledger only leave word for it, so
    nothing here overlaps with itself.

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
    ) -> None:
        self.connection_id = connection_id
        self.stage = Stage.GREETING
        self.principal: Principal | None = None
        self.heard_at = now
        """Loop time of the widget's last message."""
        self._room = room
        self._receive = receive
        limits = room.settings.limits
        self._limits = limits
        self._bucket = TokenBucket(limits.messages_per_s, limits.message_burst)
        self._outbox = Outbox(pipe, send, max_bytes=limits.outgoing_bytes, on_stuck=self._on_stuck)
        self._loop = asyncio.get_running_loop()
        self._greeting: Greeting | None = None
        self._ids: EngagementIds | None = None
        self._visible = True
        self._trunk: Trunk | None = None
        self._held: list[bytes] = []
        self._state: PresenceState | None = None
        # What the steward is to do; each is taken (set back) when it is begun.
        self._steward: asyncio.Task[None] | None = None
        self._offered: Location | None = None
        self._must_move: Location | None = None
        self._left_epoch = 0
        self._must_register = False
        self._start: SessionStart | None = None
        self._refused_session: str | None = None
        self._left_session: tuple[str, float] | None = None

    @property
    def session_id(self) -> str | None:
        """The session this connection is attached to."""
        return None if self._trunk is None else self._trunk.location.session_id

    # The reader.

    async def run(self) -> None:
        """Serve the accepted WebSocket until it is gone. Closes everything it opened."""
        try:
            if await self._greet():
                await self._pump()
        except SwitchboardError as error:
            self.fail(error)
        except asyncio.CancelledError:
            self.close(CloseCode.GOING_AWAY, "The gateway is stopping.")
            raise
        except Exception:
            logger.exception("connection failed", extra=self._facts())
            self.close(CloseCode.INTERNAL, "Something went wrong on our side.")
        finally:
            self.close(CloseCode.NORMAL, "")
            steward = self._steward
            if steward is not None and not steward.done():
                steward.cancel()
                await asyncio.wait((steward,))
            await self._outbox.finished()

    async def _greet(self) -> bool:
        try:
            async with asyncio.timeout(self._limits.hello_timeout_s):
                data = await self._next()
        except TimeoutError:
            raise Unauthenticated(
                ErrorCode.HELLO_TIMEOUT, "No connection.hello came in time."
            ) from None
        if data is None:
            return False
        greeting = greet(data, self._room.tokens)
        self._greeting = greeting
        self.principal = greeting.principal
        self._ids = greeting.hello.engagement
        self._visible = greeting.hello.visible
        self._room.on_greeted(self)
        await self._settle(greeting)
        self._wake(register=greeting.resume is not None)
        return True

    async def _settle(self, greeting: Greeting) -> None:
        """Find where the hello leads: into a session, or to waiting for one."""
        hello = greeting.hello
        resume = greeting.resume
        if resume is not None:
            location = Location(
                session_id=resume.session_id,
                epoch=resume.epoch,
                host=resume.host,
                port=resume.port,
                account_id=resume.principal.account_id,
                engagement_key=resume.engagement_key,
            )
            try:
                trunk, ready = await self._dial(location, hello.last_seq)
            except (Gone, NotFound):
                if hello.token is None:
                    raise
                # The session is over; the ordinary token says what the widget may wait for.
                without = hello.model_copy(update={"resume": None})
                again = greet(encode(without), self._room.tokens)
                self._greeting, self.principal = again, again.principal
                await self._settle(again)
                return
            self._welcome(hello, in_session=True)
            self._attached(trunk, ready)
            return
        if greeting.guest_session is not None:
            location = await self._room.directory.locate(greeting.guest_session)
            trunk, ready = await self._dial(location, None)
            self._welcome(hello, in_session=True)
            self._attached(trunk, ready)
            return
        state = await self._register()
        if state is not None and state.live is not None:
            try:
                trunk, ready = await self._dial(state.live, None)
            except SwitchboardError as error:
                self._refused_session = state.live.session_id
                logger.info("not attached at hello", extra=self._facts(code=str(error.code)))
            else:
                in_session = greeting.principal.role is not Role.CONSUMER
                self._welcome(hello, in_session=in_session)
                self._attached(trunk, ready)
                return
        self._welcome(hello, in_session=False)
        self._rest()
        if state is not None:
            self.on_presence(state)

    async def _pump(self) -> None:
        loop, receive, bucket = self._loop, self._receive, self._bucket
        while True:
            message = await receive()
            text = message.get("text")
            if text is None:
                if message["type"] == "websocket.disconnect":
                    return
                raise _binary()
            data = text.encode()
            now = self.heard_at = loop.time()
            while not bucket.take(now):
                # Not reading is the answer to a flood: the widget's own socket fills up.
                await asyncio.sleep(1.0 / self._limits.messages_per_s)
                now = loop.time()
            if len(data) > MAX_MESSAGE_BYTES:
                raise _too_large()
            trunk = self._trunk
            if self.stage is Stage.ATTACHED and trunk is not None:
                head = data[:_HEAD_BYTES]
                if (
                    _OWN_TYPES[0] in head or _OWN_TYPES[1] in head or _OWN_TYPES[2] in head
                ) and self._keep_own(data):
                    continue
                if not trunk.send(data):
                    self._hold(data)
                elif not trunk.writable:
                    await trunk.drained()
            elif self.stage is Stage.MOVING:
                if b'"connection.ping"' in data[:_HEAD_BYTES] and self._keep_own(data):
                    continue
                self._hold(data)
            elif self.stage is Stage.CLOSED:
                return
            else:
                self._on_unattached(data)

    async def _next(self) -> bytes | None:
        """Return the next message, `None` when the widget is gone."""
        message = await self._receive()
        text = message.get("text")
        if text is None:
            if message["type"] == "websocket.disconnect":
                return None
            raise _binary()
        data: bytes = text.encode()
        self.heard_at = self._loop.time()
        if len(data) > MAX_MESSAGE_BYTES:
            raise _too_large()
        return data

    def _hold(self, data: bytes) -> None:
        if len(self._held) >= self._limits.held_messages:
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many messages while the session moves.")
        self._held.append(data)

    def _keep_own(self, data: bytes) -> bool:
        """Note what the gateway must know of an attached widget; True when it stays here."""
        try:
            message = decode_client_message(data)
        except Malformed:
            return False
        match message:
            case ConnectionPing():
                self._outbox.put(PONG)
                return True
            case SurfaceUpdate():
                self._visible = message.visible
                self._wake(register=True)
            case EngagementUpdate():
                if self._is_ours(message.engagement):
                    self._ids = message.engagement
                    self._wake(register=True)
            case _:
                pass
        return False

    def _on_unattached(self, data: bytes) -> None:
        try:
            message = decode_client_message(data)
        except Malformed as error:
            self._outbox.put(refused(error, None))
            return
        match message:
            case ConnectionPing():
                self._outbox.put(PONG)
            case SurfaceUpdate():
                self._visible = message.visible
                self._wake(register=True)
            case EngagementUpdate():
                if not self._is_ours(message.engagement):
                    raise Malformed(
                        ErrorCode.NOT_PERMITTED, "The engagement belongs to another account."
                    )
                self._ids = message.engagement
                self._refused_session = None
                self._wake(register=True)
            case SessionStart() if self.stage is Stage.IDLE:
                if self._start is not None:
                    busy = Conflict(ErrorCode.ALREADY_LIVE, "A session is being started.")
                    self._outbox.put(refused(busy, message.id))
                else:
                    self._start = message
                    self._wake()
            case ConnectionHello():
                self._outbox.put(
                    refused(
                        Malformed(ErrorCode.MALFORMED, "The hello was said already."), message.id
                    )
                )
            case _:
                self._outbox.put(
                    refused(
                        Conflict(ErrorCode.NOT_IN_SESSION, "There is no session to do this in."),
                        getattr(message, "id", None),
                    )
                )

    # Word from elsewhere: ledger, trunk, switchroom. None of these waits.

    def on_presence(self, state: PresenceState) -> None:
        """Take what the ledger knows of this engagement now."""
        changed = self._state is None or (state.reach, state.surfaces) != (
            self._state.reach,
            self._state.surfaces,
        )
        self._state = state
        if self.stage is Stage.IDLE and changed:
            self._tell_reach()
        if state.live is not None and state.live.session_id != self._refused_session:
            self.on_offered(state.live)

    def on_offered(self, location: Location) -> None:
        """A session exists for this waiting connection."""
        if self.stage in UNATTACHED or self.stage is Stage.GREETING:
            self._offered = location
            self._wake()

    def on_relocated(self, location: Location) -> None:
        """Another actor holds the session."""
        trunk = self._trunk
        if (
            self.stage is Stage.ATTACHED
            and trunk is not None
            and trunk.location.session_id == location.session_id
            and trunk.location.epoch < location.epoch
        ):
            self._leave_trunk(trunk, location)

    def fail(self, error: SwitchboardError) -> None:
        """Say why, and close with the code of the error's class."""
        self._outbox.put(refused(error, None))
        logger.info("connection refused", extra=self._facts(code=str(error.code)))
        self.close(close_code_of(error), error.message)

    def close(self, code: int, reason: str) -> None:
        """End the connection and what it opened; harmless when closed."""
        if self.stage is Stage.CLOSED:
            return
        self._advance(Stage.CLOSED)
        self._detach()
        self._room.on_closed(self)
        self._outbox.close(code, reason)

    def _on_stuck(self) -> None:
        logger.warning("widget does not read", extra=self._facts())
        self.close(CloseCode.TOO_FAST_OR_SLOW, "The widget does not read fast enough.")

    def _on_trunk_message(self, data: bytes) -> None:
        self._outbox.put(data)

    def _on_trunk_close(self, trunk: Trunk, end: TrunkClose) -> None:
        if trunk is not self._trunk:
            return
        self._detach()
        role = None if self.principal is None else self.principal.role
        if not end.to_waiting or role is Role.GUEST:
            self.close(end.code, end.reason)
            return
        self._left_session = (trunk.location.session_id, self._loop.time())
        self._rest()
        self._wake(register=True)

    def _on_trunk_lost(self, trunk: Trunk) -> None:
        if trunk is not self._trunk or self.stage is not Stage.ATTACHED:
            return
        logger.warning("trunk lost", extra=self._facts())
        self._leave_trunk(trunk, trunk.location)

    # The steward.

    def _wake(self, *, register: bool = False) -> None:
        self._must_register = self._must_register or register
        if self._steward is None and self.stage not in (Stage.GREETING, Stage.CLOSED):
            self._steward = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self.stage is not Stage.CLOSED and await self._work_once():
                pass
        except SwitchboardError as error:
            self.fail(error)
        except Exception:
            logger.exception("steward failed", extra=self._facts())
            self.close(CloseCode.INTERNAL, "Something went wrong on our side.")
        finally:
            self._steward = None

    async def _work_once(self) -> bool:
        """Do the most urgent thing; False when there is none."""
        if self._must_move is not None:
            location, self._must_move = self._must_move, None
            await self._move(location)
        elif self._start is not None:
            await self._open(self._start)
        elif self._offered is not None:
            location, self._offered = self._offered, None
            await self._take_offer(location)
        elif self._must_register:
            self._must_register = False
            state = await self._register()
            if state is not None:
                self.on_presence(state)
        else:
            return False
        return True

    async def _move(self, location: Location) -> None:
        began = self._loop.time()
        # The place that was just left is not tried again before the ledger has named it.
        is_dead = location.epoch == self._left_epoch
        trunk, ready = await self._dial(location, None, is_dead=is_dead)
        self._room.metrics.moves.inc()
        self._room.metrics.last_move_seconds.set(self._loop.time() - began)
        if ready.epoch != self._left_epoch:
            self._outbox.put(encode(SessionMoved(epoch=ready.epoch)))
        self._attached(trunk, ready)

    async def _open(self, start: SessionStart) -> None:
        assert self.principal is not None
        key = agent_key(self._ids)
        try:
            if key is None or self._ids is None:
                raise Conflict(
                    ErrorCode.NOT_IN_SESSION, "The widget knows no engagement to start on."
                )
            location = await self._room.directory.open_session(
                SessionOpen(
                    account_id=self.principal.account_id,
                    engagement_key=key,
                    ids=self._ids,
                    mode=start.mode,
                    owner=self.principal,
                )
            )
        except SwitchboardError as error:
            self._outbox.put(refused(error, start.id))
        else:
            self._outbox.put(encode(RequestDone(reply_to=start.id)))
            self._offered = location
            self._left_session = None
        finally:
            self._start = None

    async def _take_offer(self, location: Location) -> None:
        if self.stage not in UNATTACHED:
            return
        if self._left_session is not None and self._left_session[0] == location.session_id:
            # The actor has just sent us back to waiting: dialling at once could spin.
            await asyncio.sleep(
                max(0.0, self._left_session[1] + REATTACH_PAUSE_S - self._loop.time())
            )
        try:
            trunk, ready = await self._dial(location, None)
        except Unavailable:
            logger.warning("session offered and away", extra=self._facts())
            return
        except SwitchboardError as error:
            self._refused_session = location.session_id
            logger.info("not attached", extra=self._facts(code=str(error.code)))
            return
        if self.stage not in UNATTACHED:
            trunk.close()
            return
        self._attached(trunk, ready)

    async def _register(self) -> PresenceState | None:
        """Tell the ledger what this connection can be rung by, or wants to watch.

        Without the ledger it is told later: the directory remembers.
        """
        principal, ids, greeting = self.principal, self._ids, self._greeting
        if principal is None or ids is None or greeting is None:
            return None
        directory = self._room.directory
        try:
            if principal.role is Role.CONSUMER:
                keys = waiting_keys(ids)
                if not keys:
                    return None
                return await directory.put_presence(
                    PresencePut(
                        connection_id=self.connection_id,
                        account_id=principal.account_id,
                        keys=list(keys),
                        surface=greeting.hello.surface,
                        visible=self._visible,
                        claim_hash=principal.claim_hash,
                    )
                )
            key = agent_key(ids)
            if key is None or principal.role is Role.GUEST:
                return None
            return await directory.watch_presence(
                PresenceWatch(
                    connection_id=self.connection_id,
                    account_id=principal.account_id,
                    key=key,
                )
            )
        except Unavailable:
            logger.warning("presence not registered", extra=self._facts())
            return None
        except TooFast:
            if principal.role is Role.CONSUMER:
                raise
            # An agent who is not told of the consumer's reach can work all the same.
            logger.warning("presence not watched", extra=self._facts())
            return None

    async def _dial(
        self, location: Location, last_seq: int | None, *, is_dead: bool = False
    ) -> tuple[Trunk, TrunkReady]:
        return await attach(
            self._dial_once,
            self._room.directory,
            self._limits,
            location,
            last_seq=last_seq,
            is_dead=is_dead,
        )

    async def _dial_once(
        self, location: Location, last_seq: int | None
    ) -> tuple[Trunk, TrunkReady]:
        assert self.principal is not None
        assert self._greeting is not None
        trunk = Trunk(
            location,
            on_message=self._on_trunk_message,
            on_close=self._on_trunk_close,
            on_lost=self._on_trunk_lost,
        )
        hello = TrunkHello(
            session_id=location.session_id,
            epoch=location.epoch,
            connection_id=self.connection_id,
            gateway_id=self._room.settings.gateway_id,
            principal=self.principal,
            surface=self._greeting.hello.surface,
            visible=self._visible,
            last_seq=last_seq,
            engagement=self._ids,
        )
        return trunk, await trunk.dial(self._room.trunk_key, hello, self._limits.dial_timeout_s)

    # Small steps.

    def _attached(self, trunk: Trunk, ready: TrunkReady) -> None:
        if self.stage is Stage.CLOSED:
            trunk.close()
            return
        assert self.principal is not None
        self._advance(Stage.ATTACHED)
        self._trunk = trunk
        self._offered = None
        self._room.pulse.watch(trunk)
        location = trunk.location
        sealed = self._room.tokens.seal(
            ResumePass(
                session_id=location.session_id,
                epoch=ready.epoch,
                host=location.host,
                port=location.port,
                engagement_key=location.engagement_key,
                principal=self.principal.model_copy(
                    update={"participant_id": ready.participant_id}
                ),
            )
        )
        self._outbox.put(encode(ResumeRenewed(resume=sealed)))
        trunk.open()
        held, self._held = self._held, []
        for data in held:
            if not trunk.send(data):
                self._held.append(data)

    def _leave_trunk(self, trunk: Trunk, location: Location) -> None:
        """Begin to move: the trunk is broken, or its actor not the session's any more."""
        self._left_epoch = trunk.location.epoch
        self._detach()
        self._must_move = location
        self._advance(Stage.MOVING)
        self._wake()

    def _detach(self) -> None:
        trunk, self._trunk = self._trunk, None
        if trunk is not None:
            self._room.pulse.drop(trunk)
            trunk.close()

    def _rest(self) -> None:
        """Stand without a session."""
        assert self.principal is not None
        waits = self.principal.role in (Role.CONSUMER, Role.GUEST)
        self._advance(Stage.WAITING if waits else Stage.IDLE)
        if self._offered is not None:
            self._wake()

    def _welcome(self, hello: ConnectionHello, *, in_session: bool) -> None:
        assert self.principal is not None
        self._outbox.put(
            encode(
                ConnectionWelcome(
                    reply_to=hello.id,
                    revision=PROTOCOL_REVISION,
                    connection_id=self.connection_id,
                    role=self.principal.role,
                    in_session=in_session,
                )
            )
        )

    def _tell_reach(self) -> None:
        if self._state is not None:
            view = ReachView(reach=self._state.reach, surfaces=self._state.surfaces)
            self._outbox.put(encode(ReachChanged(consumer=view)))

    def _is_ours(self, ids: EngagementIds) -> bool:
        return self.principal is not None and ids.account_id.strip() == self.principal.account_id

    def _advance(self, stage: Stage) -> None:
        """Take a step of the table; the only place where `stage` changes."""
        if stage not in STEPS[self.stage]:
            raise Internal(ErrorCode.INTERNAL, f"No step from {self.stage} to {stage}.")
        self.stage = stage

    def _facts(self, **more: object) -> dict[str, object]:
        return {
            "connection_id": self.connection_id,
            "session_id": self.session_id,
            "stage": str(self.stage),
            **more,
        }


def _binary() -> Malformed:
    return Malformed(ErrorCode.BINARY_FRAME, "Messages are text; a binary frame came.")


def _too_large() -> Malformed:
    return Malformed(
        ErrorCode.MESSAGE_TOO_LARGE, f"A message may have {MAX_MESSAGE_BYTES} bytes at most."
    )
