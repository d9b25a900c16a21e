"""A relay for each test, with crafted clients that are closed behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from math import inf
from typing import Any, TypeAlias, TypeVar

import pytest

from actors.relay import MediaRights, PublishSource, Relay, RelayConfig
from benchmarks.media.description import Dialect

from .client import EVERYTHING, CraftedClient
from .recording import RecordingListener
from .virtual_time import run_in_virtual_time


class Call:
    """One relay with its listener, and whoever has joined."""

    def __init__(
        self,
        config: RelayConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        stall_seconds: float = inf,
    ) -> None:
        self.listener = RecordingListener()
        self.relay = Relay(
            config or RelayConfig(), self.listener, clock=clock, stall_seconds=stall_seconds
        )
        self.clients: list[CraftedClient] = []

    async def join(
        self,
        name: str,
        transport_id: str | None = None,
        *,
        publish: tuple[PublishSource, ...] = (PublishSource.MICROPHONE, PublishSource.CAMERA),
        seats: int = 7,
        rids: tuple[str, ...] = (),
        dialect: Dialect | None = None,
        rights: MediaRights = EVERYTHING,
        host: str = "127.0.0.1",
    ) -> CraftedClient:
        """Connect one more client."""
        client = CraftedClient(
            self.relay,
            name,
            transport_id,
            publish=publish,
            seats=seats,
            rids=rids,
            dialect=dialect,
            rights=rights,
            host=host,
        )
        self.clients.append(client)
        await client.connect()
        return client

    async def close(self) -> None:
        assert self.relay.mistakes == 0
        for client in self.clients:
            client.vanish()
        await self.relay.close()
        # Lets closed datagram endpoints run their last callback.
        await asyncio.sleep(0)


T = TypeVar("T")


def call_in_virtual_time(
    scenario: Callable[[Call], Coroutine[Any, Any, T]],
    config: RelayConfig | None = None,
    *,
    stall_seconds: float = inf,
) -> T:
    """Run a scenario to its end in a call of its own, both on a clock that jumps."""

    async def run() -> T:
        clock = asyncio.get_running_loop().time
        call = Call(config, clock=clock, stall_seconds=stall_seconds)
        await call.relay.open()
        try:
            return await scenario(call)
        finally:
            await call.close()

    return run_in_virtual_time(run())


StartCall: TypeAlias = Callable[..., Awaitable[Call]]


@pytest.fixture
async def start_call() -> AsyncIterator[StartCall]:
    calls: list[Call] = []

    async def start(
        config: RelayConfig | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> Call:
        call = Call(config, clock=clock)
        calls.append(call)
        await call.relay.open()
        return call

    yield start
    for call in calls:
        await call.close()


@pytest.fixture
async def call(start_call: StartCall) -> Call:
    return await start_call()
