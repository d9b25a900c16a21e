"""Session actors in a Ray actor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import ray.actor

from broker.keys import KeyPurpose
from gateway.clock import steady_clock
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_label, node_name
from gateway.compose.settings import ClusterSettings
from gateway.trunk_tls import trunk_tls

if TYPE_CHECKING:
    from actors.session.succession import Succession


_LOG = logging.getLogger(__name__)


class SessionHost:
    """A standby, then a session, perhaps more of the same account, then gone."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._succession: Succession | None = None

    async def start(self) -> str:
        """Enlist as a standby; returns the member id."""
        from actors.relay import RelayConfig
        from actors.session.actor import SessionActor
        from actors.session.config import SessionConfig
        from actors.session.succession import Succession

        settings = self._settings
        now_ms = steady_clock()
        self._succession = Succession(
            SessionConfig(
                node=node_name(),
                label=node_label(),
                trunk_key=settings.key(KeyPurpose.TRUNK),
                tls=trunk_tls(settings.key(KeyPurpose.TRUNK)),
                trunk_host=settings.inside_address,
                public_url=settings.public_url,
                ice_servers=settings.ice_servers,
                turn_secret=settings.turn_secret(),
                relay_only=settings.relay_only,
                relay=RelayConfig(
                    bind=settings.media_addresses,
                    advertise=settings.advertise,
                    ports=range(*settings.media_ports),
                ),
            ),
            lambda config, on_over: SessionActor(
                config, LedgerAddress(), now_ms=now_ms, on_over=on_over
            ),
            reuse_limit=settings.reuse,
        )
        return await self._succession.start()

    async def live(self) -> None:
        """Wait for the end of the last session, then end the process."""
        try:
            if self._succession is not None:
                await self._succession.run()
        except Exception:
            _LOG.exception("no session actor any more")
        ray.actor.exit_actor()  # type: ignore[no-untyped-call]
