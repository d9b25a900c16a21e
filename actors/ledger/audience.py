"""Those among the members who are told what changed: gateways, pools, the keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.ledger.keeping import OutboxGrew
from actors.link import End
from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.nodes import PoolLevel, PoolLinked
from broker.messages.cluster.presence import PresenceDisplaced, PresenceState
from broker.messages.cluster.sessions import SessionAttach, SessionQueued, SessionRelocated
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueCalled, ColleagueSettled
from broker.messages.sharing import LoginHand, Revocation


class Audience:
    """The gateways, pools and keepers that have a link now."""

    def __init__(
        self,
        level: Callable[[], PoolLevel],
        level_s: float,
        on_grew: Callable[[str, str], None] = lambda account_id, session_id: None,
    ) -> None:
        """`level` is asked once for each notice to the pools; `on_grew` is told which session of
        which account has more to send, before any keeper is."""
        self._on_grew = on_grew
        self._level = level
        self._level_s = level_s
        self._timer: asyncio.TimerHandle | None = None
        self.gateways: set[End] = set()
        self.pools: set[End] = set()
        self.keepers: set[End] = set()
        self._grown: asyncio.TimerHandle | None = None
        self._grown_of: set[str] | None = set()
        """The accounts that keepers are to be told of; `None`: all."""

    def gateway_came(self, gateway: End) -> None:
        """Tell a gateway from now on what changes, and at once whether there is a pool."""
        self.gateways.add(gateway)
        _notify(gateway, PoolLinked.method, PoolLinked(linked=bool(self.pools)))

    def pool_came(self, pool: End) -> None:
        """Tell a pool of the level from now on."""
        self.pools.add(pool)
        if len(self.pools) == 1:
            self._pool_linked(linked=True)
        self.level_changed()

    def gone(self, member: End) -> None:
        """Tell a member nothing any more; harmless when it was told nothing."""
        self.gateways.discard(member)
        self.keepers.discard(member)
        if member in self.pools:
            self.pools.remove(member)
            if not self.pools:
                self._pool_linked(linked=False)

    def attach(
        self, gateway: End, connection_id: str, location: Location, *, again: bool = False
    ) -> None:
        """Have a gateway dial a session for a waiting connection."""
        attach = SessionAttach(connection_id=connection_id, location=location, again=again)
        _notify(gateway, "session.attach", attach)

    def queued(self, gateway: End, connection_id: str, within_s: float) -> None:
        """Tell the connection that opens a session that it waits for a standby."""
        queued = SessionQueued(connection_id=connection_id, within_ms=round(within_s * 1e3))
        _notify(gateway, "session.queued", queued)

    def reach_changed(self, gateway: End, state: PresenceState) -> None:
        """Tell a watching connection's gateway how reachable the consumer is now."""
        _notify(gateway, "presence.changed", state)

    def displaced(self, gateway: End, connection_id: str) -> None:
        """Tell a gateway that one of its waiting connections gave way to another."""
        displaced = PresenceDisplaced(connection_id=connection_id)
        _notify(gateway, displaced.method, displaced)

    def colleague_called(self, gateway: End, called: ColleagueCalled) -> None:
        """Show on an agent's widget that a colleague asks."""
        _notify(gateway, "colleague.called", called)

    def colleague_settled(self, gateway: End, settled: ColleagueSettled) -> None:
        """Show it there no more."""
        _notify(gateway, "colleague.settled", settled)

    def relocated(self, location: Location) -> None:
        """Tell every gateway: resuming needs no ledger, so nobody knows which ones it concerns."""
        for gateway in self.gateways:
            _notify(gateway, "session.relocated", SessionRelocated(location=location))

    def revoked(self, revocation: Revocation) -> None:
        """Tell every gateway who has lost access."""
        for gateway in self.gateways:
            _notify(gateway, "revocation.added", revocation)

    def login_handed(self, hand: LoginHand) -> None:
        """Pass a login on: one gateway has the frame that waits."""
        for gateway in self.gateways:
            _notify(gateway, "login.handed", hand)

    def level_changed(self) -> None:
        """Tell the pools soon, and once for many changes."""
        if self._timer is None and self.pools:
            self._timer = asyncio.get_running_loop().call_later(self._level_s, self._tell_level)

    def journal_grew(self, account_id: str, session_id: str) -> None:
        """Say that a session has more to send."""
        self._on_grew(account_id, session_id)
        self.outbox_grew(account_id)

    def outbox_grew(self, account_id: str | None) -> None:
        """Tell the keeper soon, and once for many entries, that there may be something to send.

        `account_id` says of whom; `None`: anybody.
        """
        if not self.keepers:
            return
        if account_id is None:
            self._grown_of = None
        elif self._grown_of is not None:
            self._grown_of.add(account_id)
        if self._grown is None:
            self._grown = asyncio.get_running_loop().call_later(self._level_s, self._tell_grown)

    def close(self) -> None:
        """Tell nobody any more."""
        if self._grown is not None:
            self._grown.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self.gateways.clear()
        self.pools.clear()
        self.keepers.clear()

    def _pool_linked(self, *, linked: bool) -> None:
        for gateway in self.gateways:
            _notify(gateway, PoolLinked.method, PoolLinked(linked=linked))

    def _tell_grown(self) -> None:
        of, self._grown, self._grown_of = self._grown_of, None, set()
        grew = OutboxGrew(accounts=None if of is None else sorted(of))
        for keeper in self.keepers:
            _notify(keeper, "outbox.grew", grew)

    def _tell_level(self) -> None:
        self._timer = None
        level = self._level()
        for pool in self.pools:
            _notify(pool, "pool.level", level)


def _notify(end: End, method: str, body: ClusterMessage) -> None:
    end.notify(method, body.to_bytes())
