"""Session actors in a Ray actor."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING

import ray
import ray.actor
import uvloop

from broker.keys import KeyPurpose
from gateway.clock import steady_clock
from gateway.commands import logs
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_label, node_name
from gateway.compose.options import ACTOR_START_S
from gateway.compose.settings import ClusterSettings
from gateway.links.trunk_tls import trunk_tls
from gateway.tracing import traces_of

if TYPE_CHECKING:
    from actors.session.succession import Succession
    from broker.tracing import Traces


_LOG = logging.getLogger(__name__)
ORPHAN_S = ACTOR_START_S
"""No pool starts a session actor for longer: one that does not live by then has lost its pool."""


class SessionHost:
    """A standby, then a session, perhaps more of the same account, then gone.

    Its event loop runs within its Ray calls, on the main thread, and the second of them lasts as
    long as the process: Ray wakes a main thread that executes no call a hundred times a second,
    which for a hundred actors is most of a processor. No method may be a coroutine, or Ray would
    run a loop of its own elsewhere. One whose pool dies before that call ends itself: nobody else
    knows of it, and it would keep its place on the node for good.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        logs.configure()
        self._orphaned = threading.Timer(ORPHAN_S, _end_orphan)
        self._orphaned.daemon = True
        self._orphaned.start()
        self._settings = settings
        self._succession: Succession | None = None
        self._traces = traces_of("session")
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def start(self) -> str:
        """Enlist as a standby; returns the member id."""
        name = ray.get_runtime_context().get_actor_name() or ""
        self._succession = succession_of(self._settings, name, self._traces)
        return self._loop.run_until_complete(self._succession.start())

    def live(self) -> None:
        """Wait for the end of the last session, then end the process."""
        self._orphaned.cancel()
        try:
            if self._succession is not None:
                self._loop.run_until_complete(self._succession.run())
        except Exception:
            _LOG.exception("no session actor any more")
        if self._traces is not None:
            self._traces.close()
        ray.actor.exit_actor()  # type: ignore[no-untyped-call]


def _end_orphan() -> None:
    _LOG.warning("started by a pool that is gone")
    os._exit(1)


def succession_of(
    settings: ClusterSettings, process: str = "", traces: Traces | None = None
) -> Succession:
    """Compose what this process will hold, one session after another."""
    from actors.relay import RelayConfig
    from actors.session.actor import SessionActor
    from actors.session.config import SessionConfig
    from actors.session.succession import Succession

    now_ms = steady_clock()
    return Succession(
        SessionConfig(
            node=node_name(),
            label=node_label(),
            process=process,
            traces=traces,
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
            config, LedgerAddress(settings.shard), now_ms=now_ms, on_over=on_over
        ),
        reuse_limit=settings.reuse,
    )
