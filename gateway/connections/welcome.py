"""What a widget's first message leads to: the session it was in, a live one, or waiting for one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from broker.errors import Gone, NotFound, SwitchboardError
from broker.messages import PROTOCOL_REVISION, encode
from broker.messages.client import ConnectionHello
from broker.messages.cluster.trunk import TrunkReady
from broker.messages.facts import ConnectionWelcome, SessionMoved
from broker.words import Role
from gateway.connections.greeting import Greeting, greet
from gateway.connections.stages import Stage
from gateway.connections.standing import resumed_location
from gateway.connections.steward import Steward
from gateway.links.directory import Directory
from gateway.links.trunks import Trunk
from gateway.proofs.tokens import ResumePass, Tokens
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.connections.unattached import Unattached

logger = logging.getLogger(__name__)


class Room(Protocol):
    """What is needed of a gateway to read a hello, and to find where it leads."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def tokens(self) -> Tokens: ...


class Client(Protocol):
    """The connection that said hello."""

    @property
    def connection_id(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def stage(self) -> Stage: ...
    @property
    def unattached(self) -> Unattached: ...
    @property
    def is_there(self) -> bool: ...
    def facts(self, **more: object) -> dict[str, object]: ...
    def put(self, data: bytes) -> None: ...
    def greeted(self, greeting: Greeting) -> None: ...
    def attached(self, trunk: Trunk, ready: TrunkReady) -> None: ...
    def rest(self) -> None: ...


class Welcome:
    """Answers the hello of one connection, which owns it."""

    def __init__(self, client: Client, room: Room, steward: Steward) -> None:
        self._client = client
        self._room = room
        self._steward = steward

    async def answer(self, data: bytes) -> None:
        """Read a hello, find where it leads, and go there.

        Raises:
            SwitchboardError: the hello does not hold, or leads nowhere.
        """
        greeting = greet(data, self._room.tokens)
        account_id = greeting.principal.account_id
        self._room.settings.account(account_id)
        self._client.greeted(greeting)
        if greeting.resume is not None:
            await self._return(greeting.hello, greeting.resume)
        elif greeting.guest_session is not None:
            location = await self._room.directory.locate(greeting.guest_session, account_id)
            trunk, ready = await self._steward.dial(location, None)
            self._tell(greeting.hello, in_session=True)
            self._client.attached(trunk, ready)
        else:
            await self._stand(greeting)

    async def _return(self, hello: ConnectionHello, resume: ResumePass) -> None:
        """Come back to the session of a resume token, or to what the ordinary token is for."""
        try:
            trunk, ready = await self._steward.dial(resumed_location(resume), hello.last_seq)
        except (Gone, NotFound):
            if not self._client.is_there:
                # Gone meanwhile; whoever registered after they are forgotten never would be.
                return
            if hello.token is None:
                raise
            # The session is over; the ordinary token says what the widget may wait for.
            await self.answer(encode(hello.model_copy(update={"resume": None})))
            return
        self._tell(hello, in_session=True, resumed=True)
        if ready.epoch != resume.epoch:
            # Else its last `seq` would be said with the new pass, should it break off at once.
            self._client.put(encode(SessionMoved(epoch=ready.epoch)))
        self._client.attached(trunk, ready)
        self._steward.wake(register=True)

    async def _stand(self, greeting: Greeting) -> None:
        """Come into the live session of the engagement, or stand there without one."""
        hello, client = greeting.hello, self._client
        state = await self._steward.register()
        if state is not None and state.live is not None:
            try:
                trunk, ready = await self._steward.dial(state.live, None)
            except SwitchboardError as error:
                self._steward.refused(state.live.session_id)
                logger.info("not attached at hello", extra=client.facts(code=str(error.code)))
            else:
                # What a consumer sees of a session, and when, is for the actor to say.
                seen = greeting.principal.role is not Role.CONSUMER
                self._tell(hello, in_session=seen)
                client.attached(trunk, ready)
                return
        if client.stage is Stage.CLOSED:
            # It gave way to another meanwhile, or the gateway stops.
            return
        self._tell(hello, in_session=False)
        client.rest()
        if state is not None:
            client.unattached.on_presence(state)
        self._steward.wake()

    def _tell(self, hello: ConnectionHello, *, in_session: bool, resumed: bool = False) -> None:
        self._client.put(
            encode(
                ConnectionWelcome(
                    reply_to=hello.id,
                    revision=PROTOCOL_REVISION,
                    connection_id=self._client.connection_id,
                    role=self._client.role,
                    in_session=in_session,
                    resumed=resumed,
                )
            )
        )
