"""When a gateway takes new widgets: what it must find first, and what it can do without later."""

from __future__ import annotations

import asyncio

import httpx

from broker.messages.cluster.nodes import PoolLinked
from gateway.settings import Settings
from tests.gateway.conftest import World
from tests.patience import PATIENCE


async def told(world: World, status: int, **parts: bool) -> None:
    """Wait until it answers so; it lives meanwhile."""
    expected = (status, {"ready": status == 200, "stopping": False, **parts})
    said: list[object] = []
    try:
        async with (
            httpx.AsyncClient(base_url=world.origin, trust_env=False) as client,
            asyncio.timeout(10.0 * PATIENCE),
        ):
            while not said or said[-1] != expected:
                answer = await client.get("/readyz")
                said.append((answer.status_code, answer.json()))
            assert (await client.get("/healthz")).status_code == 200
    except TimeoutError:
        raise AssertionError(f"It said {said[-1:]} to the end.") from None


async def test_one_that_starts_is_ready_once_ledger_and_pool_are_there(settings: Settings) -> None:
    world = World(settings)
    world.ledger.pool_linked = False
    await world.start()
    try:
        await told(world, 503, ledger=True, pool=False)
        world.ledger.notify(PoolLinked.method, PoolLinked(linked=True))
        await told(world, 200, ledger=True, pool=True)
    finally:
        await world.stop()


async def test_one_that_was_ready_stays_so_without_a_pool_and_not_without_the_ledger(
    settings: Settings,
) -> None:
    """People come back through it into calls that need no standby."""
    world = World(settings)
    world.ledger.pool_linked = True
    await world.start()
    try:
        await told(world, 200, ledger=True, pool=True)
        world.ledger.notify(PoolLinked.method, PoolLinked(linked=False))
        await told(world, 200, ledger=True, pool=False)
        port = world.ledger.port
        await world.ledger.stop()
        await told(world, 503, ledger=False, pool=False)
        world.ledger.pool_linked = False
        await world.ledger.start(port)
        await told(world, 200, ledger=True, pool=False)
    finally:
        await world.stop()


async def test_a_ledger_of_the_release_before_that_says_nothing_of_its_pool_is_taken_for_whole(
    world: World,
) -> None:
    """An upgrade replaces the gateways before the ledger."""
    await told(world, 200, ledger=True, pool=True)
