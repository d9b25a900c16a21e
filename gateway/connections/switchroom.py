"""All widget connections of one gateway, and what they share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from broker.close_codes import CloseCode
from broker.crowd import Crowd
from broker.errors import ErrorCode, SwitchboardError, TooFast, Unauthenticated
from broker.keys import KeyPurpose, derive_key
from broker.messages import encode
from broker.messages.cluster.presence import PresenceDisplaced, PresenceState
from broker.messages.cluster.sessions import SessionAttach, SessionQueued
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueCalled, ColleagueSettled
from broker.messages.facts import ConnectionUnheard
from broker.messages.sharing import LoginHand, Revocation
from broker.tracing import Traces
from gateway.connections.asking import AskingRates
from gateway.connections.connection import Connection
from gateway.connections.stages import Stage
from gateway.connections.unsaved import UnsavedCourier
from gateway.links.directory import Directory
from gateway.links.trunks import Pulse
from gateway.metrics import Metrics
from gateway.proofs.login_flows import LoginFlows
from gateway.proofs.revocations import RevocationList, agent_hash, token_hash
from gateway.proofs.tokens import Tokens
from gateway.settings import Settings

logger = logging.getLogger(__name__)

_UNHEARD = encode(ConnectionUnheard())
SWEEP_S = 5.0


class Switchroom:
    """The connections of one gateway by id, and the `Listener` of its directory.

    The app creates and runs it; `stop` turns readiness off, says 1001 to every widget, waits a
    bounded time, and ends the loops. Sessions go on.
    """

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        tokens: Tokens,
        metrics: Metrics,
        revocations: RevocationList,
        logins: LoginFlows,
        traces: Traces | None = None,
    ) -> None:
        self.traces = traces
        self.settings = settings
        self.directory = directory
        self.tokens = tokens
        self.metrics = metrics
        self.revocations = revocations
        self.logins = logins
        self.trunk_key = derive_key(settings.secret, KeyPurpose.TRUNK)
        self.pulse = Pulse(settings.limits.trunk_ping_s, settings.limits.trunk_silent_s)
        self.asking = AskingRates(settings.limits)
        self.unsaved = UnsavedCourier(directory, settings, self.trunk_key)
        self.stopping = False
        self._connections: dict[str, Connection] = {}
        self._inside: dict[str, dict[str, Connection]] = {}
        """Those in a session, by its id: when it moves, nobody else is looked at."""
        self._silent: Crowd[str] = Crowd(
            settings.limits.connections_before_hello,
            settings.limits.connections_before_hello_from_one,
        )
        """Connections that have not said who they are yet, by address."""
        self._by_claim: Crowd[str] = Crowd(
            settings.limits.connections_by_claim, settings.limits.connections_by_claim_from_one
        )
        """Those of consumers who prove nothing, by address."""
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Everybody connected now."""
        return tuple(self._connections.values())

    @property
    def ready(self) -> bool:
        """Whether new widgets should be sent here.

        A gateway that starts must find ledger and pool: a rollout must not replace those that work
        by those of a cluster that can begin no session. Later it stays ready while it has the
        ledger, because people come back through it into calls that need no pool.
        """
        return not self.stopping and self.directory.ready and self.directory.was_complete

    def refusal(self, address: str) -> SwitchboardError | None:
        """Say why no further connection is taken from there now; `None` when one is."""
        if len(self._connections) >= self.settings.limits.connections:
            return TooFast(ErrorCode.RATE_LIMITED, "This gateway is full.")
        if not self._silent.has_room(address):
            return TooFast(ErrorCode.RATE_LIMITED, "Too many connections say nothing.")
        return None

    def on_accepted(self, connection: Connection) -> None:
        """Take note of an accepted WebSocket."""
        self._connections[connection.connection_id] = connection
        self._enter(self._silent, connection)
        self._empty.clear()
        self.metrics.connections.inc()

    def on_greeted(self, connection: Connection, *, is_proved: bool) -> None:
        """Its hello held. Raises TooFast when its address has too many that prove nothing."""
        self._silent.discard(connection.connection_id)
        if not is_proved:
            if not self._by_claim.has_room(connection.address):
                raise TooFast(ErrorCode.RATE_LIMITED, "Too many consumers of this address wait.")
            self._enter(self._by_claim, connection)

    def on_attached(self, connection: Connection, session_id: str) -> None:
        """It is in a session: nobody takes its place there."""
        self._by_claim.discard(connection.connection_id)
        self._inside.setdefault(session_id, {})[connection.connection_id] = connection

    def on_detached(self, connection: Connection, session_id: str) -> None:
        """It has left a session; harmless when that is known."""
        inside = self._inside.get(session_id, {})
        inside.pop(connection.connection_id, None)
        if not inside:
            self._inside.pop(session_id, None)

    def _enter(self, crowd: Crowd[str], connection: Connection) -> None:
        """Give a connection its place; of an address that holds the most the newest gives way."""
        other = self._connections.get(crowd.gives_way(connection.address) or "")
        if other is not None:
            crowd.discard(other.connection_id)
            other.fail(TooFast(ErrorCode.RATE_LIMITED, "Too many connections of this address."))
        crowd.add(connection.connection_id, connection.address)

    def on_closed(self, connection: Connection) -> None:
        """It is gone: forget it, here and in the ledger."""
        if self._connections.pop(connection.connection_id, None) is None:
            return
        self._silent.discard(connection.connection_id)
        self._by_claim.discard(connection.connection_id)
        self.directory.forget(connection.connection_id)
        self.metrics.connections.dec()
        if not self._connections:
            self._empty.set()

    def on_presence(self, state: PresenceState) -> None:
        connection = self._connections.get(state.connection_id)
        if connection is not None:
            connection.unattached.on_presence(state)

    def on_attach(self, attach: SessionAttach) -> None:
        connection = self._connections.get(attach.connection_id)
        if connection is not None:
            connection.unattached.on_offered(attach.location, again=attach.again)

    def on_queued(self, queued: SessionQueued) -> None:
        connection = self._connections.get(queued.connection_id)
        if connection is not None:
            connection.unattached.on_queued(queued.within_ms)

    def on_relocated(self, location: Location) -> None:
        for connection in list(self._inside.get(location.session_id, {}).values()):
            connection.on_relocated(location)

    def on_displaced(self, displaced: PresenceDisplaced) -> None:
        connection = self._connections.get(displaced.connection_id)
        if connection is not None:
            connection.on_displaced()

    def on_called(self, called: ColleagueCalled) -> None:
        connection = self._connections.get(called.connection_id)
        if connection is not None:
            connection.unattached.on_called(called)

    def on_settled(self, settled: ColleagueSettled) -> None:
        connection = self._connections.get(settled.connection_id)
        if connection is not None:
            connection.unattached.on_settled(settled.session_id)

    def on_handed(self, hand: LoginHand) -> None:
        self.logins.on_handed(hand)

    def on_revoked(self, revocation: Revocation) -> None:
        if self.revocations.add(revocation):
            self.withdraw(revocation)

    def withdraw(self, revocation: Revocation) -> int:
        """Close the live connections of whoever a revocation means; return how many there were."""
        meant = [each for each in self._connections.values() if _is_meant(each, revocation)]
        for connection in meant:
            connection.fail(Unauthenticated(ErrorCode.TOKEN_INVALID, "Access was withdrawn."))
        return len(meant)

    def sweep(self, now: float) -> None:
        """Close widgets that have been silent for too long, though asked; due every few seconds."""
        longest_s = self.settings.limits.silent_s
        for connection in list(self._connections.values()):
            if connection.stage is Stage.GREETING:
                continue
            silence_s = now - connection.heard_at
            if silence_s > longest_s:
                connection.close(CloseCode.GOING_AWAY, "Nothing was heard from the widget.")
            elif silence_s > longest_s / 2:
                connection.put(_UNHEARD)

    async def run(self) -> None:
        """Run heartbeat, sweep and what is brought to sessions until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(self.settings.limits.trunk_ping_s, self.pulse.tick))
            group.create_task(self._every(SWEEP_S, self.sweep))
            group.create_task(self.unsaved.run())

    async def stop(self) -> None:
        """Take nothing new, send every widget elsewhere, wait a bounded time."""
        self.stopping = True
        logger.info("gateway stopping", extra={"connections": len(self)})
        for connection in list(self._connections.values()):
            connection.close(CloseCode.GOING_AWAY, "The gateway is stopping.")
        try:
            async with asyncio.timeout(self.settings.limits.stop_bound_s):
                await self._empty.wait()
        except TimeoutError:
            logger.warning("connections left at stop", extra={"connections": len(self)})

    async def _every(self, pause_s: float, step: Callable[[float], None]) -> None:
        """Take a step again and again: a mistake in one ends neither these nor the other loops."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause_s)
            try:
                step(loop.time())
            except Exception:
                logger.exception("step failed", extra={"step": step.__name__})


def _is_meant(connection: Connection, revocation: Revocation) -> bool:
    standing = connection.standing
    if standing is None or standing.principal.account_id != revocation.account_id:
        return False
    agent_id, token_ids = standing.principal.agent_id, standing.greeting.token_ids
    return (agent_id is not None and agent_hash(agent_id) == revocation.subject_hash) or any(
        token_hash(each) == revocation.subject_hash for each in token_ids
    )
