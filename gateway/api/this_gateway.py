"""What operations work with, found by the app that a request came to.

To take an operation apart, its parameters and its models, costs FastAPI about a millisecond, so
that is done once for a process: operations stand in their modules, and what belongs to one gateway
reaches them with the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from gateway.api.idempotency import Idempotency
from gateway.api.rates import Rates
from gateway.connections.switchroom import Switchroom
from gateway.links.directory import Directory
from gateway.proofs.consumer_links import ConsumerLinks
from gateway.proofs.device_challenges import DeviceChallenges
from gateway.proofs.liveperson import LivePersonLogin
from gateway.proofs.oidc import Oidc
from gateway.proofs.tokens import Tokens
from gateway.settings import Settings
from gateway.site.pictures import Pictures

RECORDS_AT_ONCE = 8
"""Records that a gateway has read to export them, for all who ask: a ledger has few connections
that read, and by the same ones sessions are found."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the operations of one gateway work with; `create_app` makes it."""

    room: Switchroom
    clock: Callable[[], float]
    """Unix time, in seconds."""
    idempotency: Idempotency
    rates: Rates
    consumer_links: ConsumerLinks
    device_challenges: DeviceChallenges
    oidc: Oidc
    liveperson: LivePersonLogin
    pictures: Pictures
    exporting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RECORDS_AT_ONCE))
    """Held by whoever has a record read to export it."""

    @property
    def settings(self) -> Settings:
        return self.room.settings

    @property
    def directory(self) -> Directory:
        return self.room.directory

    @property
    def tokens(self) -> Tokens:
        return self.room.tokens


async def _gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


ThisGateway = Annotated[Gateway, Depends(_gateway_of)]
