"""Does for a connection whatever must be awaited: attaching, moving, registering, opening."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from broker.errors import ErrorCode, Gone, SwitchboardError, TooFast, Unavailable
from broker.messages import encode
from broker.messages.client import SessionEnd, SessionJoin, SessionStart
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.records import RecordGet
from broker.messages.cluster.trunk import Location, TrunkClose, TrunkReady
from broker.messages.facts import (
    RequestDone,
    SessionEnded,
    SessionLeft,
    SessionMoved,
)
from broker.tracing import Traces
from broker.words import EndReason, LeaveReason, Role, Way
from gateway.connections.attachment import attach
from gateway.connections.stages import UNATTACHED, Stage
from gateway.connections.standing import Standing
from gateway.connections.start import Start
from gateway.connections.unsaved import UnsavedCourier
from gateway.links.directory import Directory
from gateway.links.trunks import Trunk
from gateway.metrics import Metrics
from gateway.refusals import refused
from gateway.settings import Settings
from gateway.tracing import apart, traced

if TYPE_CHECKING:
    from gateway.connections.unattached import Unattached

logger = logging.getLogger(__name__)

REATTACH_PAUSE_S = 1.0
"""Least time between attaching to a session and attaching to the same one again."""


class Client(Protocol):
    """The connection that a steward works for."""

    @property
    def stage(self) -> Stage: ...
    @property
    def standing(self) -> Standing | None: ...
    @property
    def unattached(self) -> Unattached: ...
    @property
    def is_there(self) -> bool: ...
    def may_stand_at(self, keys: Sequence[str]) -> bool: ...
    def facts(self, **more: object) -> dict[str, object]: ...
    def put(self, data: bytes) -> None: ...
    def fail(self, error: Exception) -> None: ...
    async def heard_out(self) -> None: ...
    def attached(self, trunk: Trunk, ready: TrunkReady) -> None: ...
    def sent_home(self, last: bytes) -> None: ...
    def on_trunk_message(self, data: bytes) -> None: ...
    def on_trunk_close(self, trunk: Trunk, end: TrunkClose) -> None: ...
    def on_trunk_lost(self, trunk: Trunk) -> None: ...


class Steward:
    """One connection's errands, one at a time, the most urgent first.

    Callbacks from trunk and ledger leave word here and never wait. A task exists only while there
    is something to do. Its connection owns it and closes it.
    """

    def __init__(
        self,
        client: Client,
        directory: Directory,
        settings: Settings,
        metrics: Metrics,
        trunk_key: bytes,
        unsaved: UnsavedCourier,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self._unsaved = unsaved
        self._client = client
        self._directory = directory
        self._settings = settings
        self._metrics = metrics
        self._trunk_key = trunk_key
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._start = Start(client, directory, settings)
        # What is to be done; each is taken when it is begun.
        self._move_to: Location | None = None
        self._join: tuple[SessionJoin, Location] | None = None
        self._offer: Location | None = None
        self._registers = False
        # What happened before, so as not to do it again.
        self._left_epoch = 0
        self._attached_at = 0.0
        self._left_session: str | None = None
        self._refused_session: str | None = None

    # Word that is left; none of these waits.

    def wake(self, *, register: bool = False) -> None:
        """Begin what there is to do, once the connection has been greeted."""
        self._registers = self._registers or register
        if self._task is None and self._client.stage not in (Stage.GREETING, Stage.CLOSED):
            self._task = self._loop.create_task(self._work())

    def start(self, message: SessionStart) -> bool:
        """Open a session; False when one is being opened."""
        if not self._start.ask(message):
            return False
        self.wake()
        return True

    @property
    def starts(self) -> bool:
        """Whether there is a start that could be taken back."""
        return self._start.is_revocable

    def withdraw(self, message: SessionEnd) -> None:
        """Take back what was started. No errand: it is for the one at work, which waits."""
        self._start.withdraw(message)

    def on_queued(self, within_ms: int) -> None:
        """Say that the session being opened waits for a standby; zero: that it does no more."""
        self._start.on_queued(within_ms)

    def join(self, message: SessionJoin, location: Location) -> bool:
        """Come into a live session as further staff; False when that is being done."""
        if self._join is not None:
            return False
        self._join = (message, location)
        self.wake()
        return True

    def offer(self, location: Location, *, again: bool = False) -> None:
        """A session exists for this connection; `again`: also if it was turned away before."""
        if again:
            self._refused_session = None
        if location.session_id == self._refused_session:
            self._client.unattached.on_turned_away()
        else:
            self._offer = location
            self.wake()

    def move(self, trunk: Trunk, location: Location) -> None:
        """The trunk is broken, or its actor not the session's any more: go to the next."""
        self._left_epoch = trunk.location.epoch
        self._move_to = location
        self.wake()

    def refused(self, session_id: str) -> None:
        """This session does not want this connection: do not ask it again."""
        self._refused_session = session_id

    def rest(self, trunk: Trunk) -> None:
        """The actor sent the connection back to where it was before the session."""
        self._left_session = trunk.location.session_id
        self.wake(register=True)

    def on_engagement_changed(self) -> None:
        """The widget stands at another engagement: old refusals do not count."""
        self._refused_session = None
        self.wake(register=True)

    async def close(self) -> None:
        """Stop in mid-errand; harmless when there is none."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))
        await self._start.close()

    # Errands.

    async def dial(
        self, location: Location, last_seq: int | None, *, is_dead: bool = False
    ) -> tuple[Trunk, TrunkReady]:
        """Attach to a session wherever it is now; errors as `attachment.attach`."""
        return await attach(
            self._dial_once,
            self._directory,
            self._settings.limits,
            location,
            last_seq=last_seq,
            is_dead=is_dead,
        )

    async def register(self) -> PresenceState | None:
        """Tell the ledger what this connection can be rung by, or wants to watch.

        Without the ledger it is told later: the directory remembers.

        Raises:
            TooFast: too many wait already, or it asks about too many engagements; never for a
                connection that is in its session.
        """
        standing = self._client.standing
        if standing is None:
            return None
        said = standing.presence(
            listed=self._settings.lists_colleagues(standing.principal.account_id)
        )
        if said is None:
            return None
        try:
            if isinstance(said, PresenceWatch):
                return await self._directory.watch_presence(said)
            if not self._client.may_stand_at(said.keys):
                raise TooFast(ErrorCode.RATE_LIMITED, "Too many requests; wait a little.")
            return await self._directory.put_presence(said)
        except TooFast:
            # An agent who is not told of the consumer's reach can work all the same; and whoever
            # is in a call stays there, however many others stand at the engagement.
            if isinstance(said, PresencePut) and self._client.stage is not Stage.ATTACHED:
                raise
            logger.warning("presence refused", extra=self._client.facts())
        except Unavailable:
            logger.warning("presence not registered", extra=self._client.facts())
        return None

    async def _work(self) -> None:
        if self._traces is not None:
            apart()
        try:
            while self._client.stage is not Stage.CLOSED and await self._work_once():
                pass
        except Exception as error:
            self._client.fail(error)
        finally:
            self._task = None

    async def _work_once(self) -> bool:
        """Do the most urgent errand; False when there is none."""
        if self._move_to is not None:
            location, self._move_to = self._move_to, None
            with self._errand("session.move"):
                await self._move(location)
        elif self._start.is_asked:
            with self._errand("session.start"):
                await self._open()
        elif self._join is not None:
            with self._errand("session.join"):
                await self._come_in(*self._join)
        elif self._offer is not None:
            location, self._offer = self._offer, None
            with self._errand("session.take"):
                await self._take(location)
        elif self._registers:
            self._registers = False
            state = await self.register()
            if state is not None:
                self._client.unattached.on_presence(state)
        else:
            return False
        return True

    def _errand(self, name: str) -> AbstractContextManager[str | None]:
        return traced(self._traces, name, "server", begins=True)

    async def _move(self, location: Location) -> None:
        began = self._loop.time()
        # The place that was just left is not tried again before the ledger has named it.
        is_dead = location.epoch == self._left_epoch
        try:
            trunk, ready = await self.dial(location, None, is_dead=is_dead)
        except Gone as gone:
            await self._go_home(location, gone)
            return
        try:
            # What is unanswered when the widget hears that the session has moved stays so.
            await self._client.heard_out()
        except BaseException:
            trunk.close()
            raise
        self._metrics.moves.inc()
        self._metrics.last_move_seconds.set(self._loop.time() - began)
        if ready.epoch != self._left_epoch:
            self._client.put(encode(SessionMoved(epoch=ready.epoch)))
        self._client.attached(trunk, ready)

    async def _go_home(self, location: Location, gone: Gone) -> None:
        """The session ended while it was looked for, or this person's time in it did.

        A guest has nowhere to go. The others stay connected, to be rung or to start anew.

        Raises:
            Gone: a guest.
        """
        standing = self._client.standing
        assert standing is not None
        if standing.principal.role is Role.GUEST:
            raise gone
        self._left_session = location.session_id
        self._registers = True
        if gone.code is ErrorCode.NOT_IN_SESSION:
            self._client.sent_home(encode(SessionLeft(seq=0, reason=LeaveReason.GRACE_OVER)))
            return
        asked = RecordGet(session_id=location.session_id, account_id=location.account_id, limit=1)
        try:
            reason = (await self._directory.get_record(asked)).end_reason
        except SwitchboardError:
            reason = None
        ended = SessionEnded(seq=0, session_id=location.session_id, reason=reason or EndReason.LOST)
        self._client.sent_home(encode(ended))

    async def _open(self) -> None:
        location = await self._start.open()
        if location is not None:
            self._offer, self._left_session, self._refused_session = location, None, None

    async def _come_in(self, message: SessionJoin, location: Location) -> None:
        try:
            trunk, ready = await attach(
                partial(self._dial_once, way=message.way),
                self._directory,
                self._settings.limits,
                location,
                last_seq=None,
            )
        except SwitchboardError as error:
            self._client.put(refused(error, message.id))
        else:
            self._client.put(encode(RequestDone(reply_to=message.id)))
            self._client.attached(trunk, ready)
        finally:
            self._join = None

    async def _take(self, location: Location) -> None:
        try:
            if self._client.stage in UNATTACHED:
                await self._follow(location)
        finally:
            self._start.settle()

    async def _follow(self, location: Location) -> None:
        if self._left_session == location.session_id:
            # An actor that sends us back again and again must not make us spin.
            pause = self._attached_at + REATTACH_PAUSE_S - self._loop.time()
            await asyncio.sleep(max(0.0, pause))
        self._attached_at = self._loop.time()
        try:
            trunk, ready = await self.dial(location, None)
        except Unavailable:
            logger.warning("session offered and away", extra=self._client.facts())
        except SwitchboardError as error:
            self.refused(location.session_id)
            logger.info("not attached", extra=self._client.facts(code=str(error.code)))
            self._client.unattached.on_turned_away()
        else:
            self._client.attached(trunk, ready)

    async def _dial_once(
        self, location: Location, last_seq: int | None, way: Way | None = None
    ) -> tuple[Trunk, TrunkReady]:
        if not self._client.is_there:
            # It may have come back by another connection, which this one must not replace.
            raise Gone(ErrorCode.NOT_IN_SESSION, "The widget is gone.")
        standing = self._client.standing
        assert standing is not None
        # First what must be known there of whoever comes.
        await self._unsaved.bring(location)
        trunk = Trunk(
            location,
            on_message=self._client.on_trunk_message,
            on_close=self._client.on_trunk_close,
            on_lost=self._client.on_trunk_lost,
            on_unsaved=self._unsaved.keep,
            traces=self._traces,
        )
        hello = standing.trunk_hello(self._settings.gateway_id, location, last_seq, way)
        ready = await trunk.dial(self._trunk_key, hello, self._settings.limits.dial_timeout_s)
        return trunk, ready
