"""A widget without a session: what it may ask, and what it is told meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from broker.errors import Conflict, ErrorCode, Forbidden, Malformed, SwitchboardError
from broker.messages import decode_client_message, encode
from broker.messages.client import (
    ColleagueDecline,
    ConnectionHello,
    ConnectionPing,
    EngagementUpdate,
    SessionEnd,
    SessionJoin,
    SessionStart,
    SurfaceUpdate,
)
from broker.messages.cluster.presence import PresenceState
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueAnswer, ColleagueCalled
from broker.messages.facts import ConnectionPong, ReachChanged, RequestDone, WaysChanged
from broker.messages.parts import ReachView
from gateway.connections.stages import UNATTACHED, Stage
from gateway.connections.standing import Standing
from gateway.connections.ways_in import WaysIn
from gateway.links.directory import Directory
from gateway.refusals import refused
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.connections.steward import Steward

PONG = encode(ConnectionPong())


class Client(Protocol):
    """The connection whose widget it is."""

    @property
    def stage(self) -> Stage: ...
    @property
    def standing(self) -> Standing | None: ...
    def put(self, data: bytes) -> None: ...


class Room(Protocol):
    """What it needs of the gateway."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...


class Unattached:
    """Stands for a connection that waits to be rung, or whose agent may start or join.

    Nothing here waits: what must be awaited is left to the steward. Closed by its connection.
    """

    def __init__(self, client: Client, room: Room, steward: Steward) -> None:
        self._client = client
        self._room = room
        self._steward = steward
        self._state: PresenceState | None = None
        self._queued_ms: int | None = None
        """What is to be told of a start once the widget has been welcomed."""
        self._ways = WaysIn(self._tell_ways)

    def came_into(self, session_id: str) -> None:
        """The widget is in a session; if a colleague asked it there, say that it came."""
        called = self._ways.called
        if called is not None and called.location.session_id == session_id:
            self._answer_colleague(comes=True)
        self._ways.close()

    def forget(self) -> None:
        """What was known of the engagement is of the session that was left."""
        self._state = None

    def close(self) -> None:
        """Nobody is asked here any more; harmless when closed."""
        self._ways.close()

    def on_message(self, data: bytes) -> None:
        """Do what a widget without a session asks, or say why not."""
        standing = self._client.standing
        assert standing is not None
        try:
            message = decode_client_message(data)
        except Malformed as error:
            self._client.put(refused(error, None))
            return
        refusal: SwitchboardError | None = None
        match message:
            case ConnectionPing():
                self._client.put(PONG)
            case SurfaceUpdate():
                standing.visible = message.visible
                self._steward.wake(register=True)
            case EngagementUpdate():
                if standing.is_ours(message.engagement):
                    standing.ids = message.engagement
                    self._steward.on_engagement_changed()
                else:
                    refusal = elsewhere()
            case SessionStart() if self._client.stage is Stage.IDLE:
                if not self._steward.start(message):
                    refusal = Conflict(ErrorCode.ALREADY_LIVE, "A session is being started.")
            case SessionEnd() if self._client.stage is Stage.IDLE and self._steward.starts:
                self._steward.withdraw(message)
            case SessionJoin() if self._client.stage is Stage.IDLE:
                refusal = self._join(message)
            case ColleagueDecline() if self._ways.called is not None:
                self._answer_colleague(comes=False)
                self._ways.settle()
                self._client.put(encode(RequestDone(reply_to=message.id)))
            case ConnectionHello():
                refusal = Malformed(ErrorCode.MALFORMED, "The hello was said already.")
            case _:
                refusal = Conflict(ErrorCode.NOT_IN_SESSION, "There is no session to do this in.")
        if refusal is not None:
            self._client.put(refused(refusal, getattr(message, "id", None)))

    def _join(self, message: SessionJoin) -> SwitchboardError | None:
        """Begin to come into the live session; what stands against it otherwise."""
        called = self._ways.called
        if called is not None:
            live: Location | None = called.location
        else:
            live = None if self._state is None else self._state.live
        if live is None:
            return Conflict(ErrorCode.NOT_IN_SESSION, "There is no session here to come into.")
        if not self._steward.join(message, live):
            return Conflict(ErrorCode.ALREADY_LIVE, "You are coming in already.")
        return None

    def on_presence(self, state: PresenceState) -> None:
        """Take what the ledger knows of this engagement now."""
        before, self._state = self._state, state
        changed = before is None or (before.reach, before.surfaces) != (
            state.reach,
            state.surfaces,
        )
        if self._client.stage is Stage.IDLE and changed:
            view = ReachView(reach=state.reach, surfaces=state.surfaces)
            self._client.put(encode(ReachChanged(consumer=view)))
        if self._queued_ms is not None:
            within_ms, self._queued_ms = self._queued_ms, None
            self.on_queued(within_ms)
        if state.live is None:
            self._ways.offer([])
        else:
            self.on_offered(state.live)

    def on_offered(self, location: Location, *, again: bool = False) -> None:
        """A session exists for this connection's engagement."""
        if self._client.stage in UNATTACHED or self._client.stage is Stage.GREETING:
            self._steward.offer(location, again=again)

    def on_queued(self, within_ms: int) -> None:
        """The session that this agent starts waits for a standby."""
        if self._client.stage is Stage.GREETING:
            # Said by the ledger before it answers where the connection stands.
            self._queued_ms = within_ms
        elif self._client.stage is Stage.IDLE:
            self._steward.on_queued(within_ms)

    def on_turned_away(self) -> None:
        """The live session does not know this agent: say how they could come in."""
        standing, state = self._client.standing, self._state
        if standing is not None and state is not None and state.live is not None:
            monitoring = self._room.settings.monitors(standing.principal.account_id)
            self._ways.offer(standing.ways(monitoring=monitoring))

    def on_called(self, called: ColleagueCalled) -> None:
        """A colleague asks this widget's agent into their session."""
        if self._client.stage is Stage.IDLE:
            self._ways.call(called)

    def on_settled(self, session_id: str) -> None:
        """The agent has answered a colleague on another widget."""
        self._ways.settle(session_id)

    def _answer_colleague(self, *, comes: bool) -> None:
        standing, called = self._client.standing, self._ways.called
        if standing is None or called is None or (agent_id := standing.listed_id) is None:
            return
        said = ColleagueAnswer(
            session_id=called.location.session_id, agent_id=agent_id, comes=comes
        )
        self._room.directory.answer_colleague(said)

    def _tell_ways(self, ways: WaysChanged) -> bool:
        if self._client.stage is not Stage.IDLE:
            return False
        self._client.put(encode(ways))
        return True


def elsewhere() -> Forbidden:
    """A widget says it stands where its token does not reach."""
    return Forbidden(ErrorCode.NOT_PERMITTED, "The token does not reach to this engagement.")
