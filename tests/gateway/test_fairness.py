"""A few addresses with many connections keep nobody else out of a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from broker.messages.cluster.presence import PresenceDisplaced
from gateway.settings import Settings
from tests.gateway.conftest import WINDOW, Widget, World
from tests.patience import until


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """A gateway behind a proxy, with room for four who wait and four who say nothing."""
    limits = replace(
        settings.limits, connections_by_claim=4, connections_before_hello=4, hello_timeout_s=60.0
    )
    world = World(replace(settings, limits=limits, trusted_proxies=("127.0.0.1",)))
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


async def connect(world: World, address: str) -> Widget:
    return await world.widget(additional_headers={"X-Forwarded-For": address})


async def wait_from(world: World, address: str, **fields: Any) -> Widget:
    widget = await connect(world, address)
    hello = {"token": world.waiting_token(), "engagement": WINDOW, "claim_secret": "c" * 20}
    await widget.greet(**{**hello, **fields})
    return widget


async def test_the_newest_of_the_address_that_waits_most_gives_way(world: World) -> None:
    many = [await wait_from(world, "203.0.113.1") for _ in range(3)]
    other = await wait_from(world, "203.0.113.2")
    for each in (*many, other):
        await each.until("connection.welcome")
    newcomer = await wait_from(world, "203.0.113.3")
    await newcomer.until("connection.welcome")
    assert await many[-1].closed() == 4429
    assert len(world.room) == 4
    # Whoever has as many as the others takes nobody's place.
    assert await (await wait_from(world, "203.0.113.1")).closed() == 4429
    for each in (*many[:-1], other, newcomer):
        await each.say(type="connection.ping")
        await each.until("connection.pong")


async def test_so_it_is_for_those_who_have_said_nothing(world: World) -> None:
    silent = [await connect(world, "203.0.113.1") for _ in range(4)]
    assert await (await wait_from(world, "203.0.113.2")).next()
    assert await silent[-1].closed() == 4429
    assert len(world.room) == 4


async def test_nobody_in_a_session_gives_way(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    inside = [await wait_from(world, "203.0.113.1") for _ in range(4)]
    for each in inside:
        await each.until("session.snapshot")
    world.ledger.live.clear()
    for number in range(4):
        await (await wait_from(world, f"203.0.113.{number + 2}")).until("connection.welcome")
    for each in inside:
        await each.say(type="connection.ping")
        await each.until("connection.pong")


async def test_who_gave_way_in_the_ledger_is_told(world: World) -> None:
    consumer = await wait_from(world, "203.0.113.1")
    await consumer.until("connection.welcome")
    [put] = world.ledger.puts.values()
    assert put.origin is not None
    assert "203.0.113.1" not in put.model_dump_json()
    other = await wait_from(world, "203.0.113.1", claim_secret="d" * 20)
    await other.until("connection.welcome")
    origins = {each.origin for each in world.ledger.puts.values()}
    assert origins == {put.origin}, "an address stands for itself, whoever comes from it"
    displaced = PresenceDisplaced(connection_id=put.connection_id)
    world.ledger.notify(displaced.method, displaced)
    assert await consumer.closed() == 4429


async def test_who_gave_way_while_it_was_greeted_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    session = await world.session()
    session.held = True
    world.ledger.live["eng-1"] = session.location
    consumer = await wait_from(world, "203.0.113.1")
    await session.signal.until(lambda: session.seen)
    [put] = world.ledger.puts.values()
    displaced = PresenceDisplaced(connection_id=put.connection_id)
    world.ledger.notify(displaced.method, displaced)
    assert await consumer.closed() == 4429
    await session.stop()
    await until(lambda: "not attached at hello" in caplog.messages, "the greeting's end")
    refused = [each.__dict__ for each in caplog.records if each.message == "connection refused"]
    assert [each["code"] for each in refused] == ["rate_limited"], "once, and by its reason"


async def test_who_gave_way_in_a_call_stays_in_it(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    inside = await wait_from(world, "203.0.113.1")
    await inside.until("session.snapshot")
    [put] = world.ledger.puts.values()
    other = await wait_from(world, "203.0.113.2")
    await other.until("session.snapshot")
    displaced = PresenceDisplaced(connection_id=put.connection_id)
    world.ledger.notify(displaced.method, displaced)
    await inside.say(type="connection.ping")
    await inside.until("connection.pong")
    # They are said in the order in which they came.
    await world.ledger.stop()
    await world.ledger.start(world.ledger.port)
    await world.ledger.signal.until(lambda: world.ledger.puts)
    assert put.connection_id not in world.ledger.puts
