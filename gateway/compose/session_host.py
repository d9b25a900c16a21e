"""A session actor in a Ray actor."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from typing import TYPE_CHECKING

import ray.actor

from broker.keys import KeyPurpose
from gateway.compose.address import LedgerAddress
from gateway.compose.node import node_label, node_name, steady_clock
from gateway.compose.settings import ClusterSettings
from gateway.trunk_tls import trunk_tls

if TYPE_CHECKING:
    from actors.session.actor import SessionActor


def settle_memory() -> None:
    """Give back what starting took, and keep the collector from looking at what stays.

    A standby's imports leave about a megabyte of free pieces that glibc would keep.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    gc.freeze()


class SessionHost:
    """One session actor in a Ray actor: a standby, then a session, then gone."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._actor: SessionActor | None = None
        self._over = asyncio.Event()

    async def start(self) -> str:
        """Enlist as a standby; returns the member id."""
        from actors.relay import RelayConfig
        from actors.session.actor import SessionActor
        from actors.session.config import SessionConfig

        settings = self._settings
        self._actor = SessionActor(
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
            LedgerAddress(),
            now_ms=steady_clock(),
            on_over=self._over.set,
        )
        await self._actor.start()
        settle_memory()
        return self._actor.member_id

    async def live(self) -> None:
        """Wait for the end of the session, then end the process."""
        await self._over.wait()
        if self._actor is not None:
            await self._actor.close()
        ray.actor.exit_actor()  # type: ignore[no-untyped-call]
