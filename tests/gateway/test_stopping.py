"""Widgets that do not read, gateways that stop."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import httpx
import pytest

from gateway.connections import outbox
from gateway.proofs.revocations import agent_hash
from gateway.serve import bind, gateway_server
from gateway.settings import BadSettings, DemoHost, Settings
from tests.gateway.conftest import WINDOW, World
from tests.patience import PATIENCE, until


async def test_a_widget_that_does_not_read_is_closed_and_others_are_served(
    settings: Settings,
) -> None:
    limits = replace(settings.limits, outgoing_bytes=200_000)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        session = await world.session()
        world.ledger.live["eng-1"] = session.location
        slow = await world.widget(max_queue=1)
        await slow.greet(token=world.waiting_token(), engagement=WINDOW)
        await slow.until("session.snapshot")
        slow.socket.transport.pause_reading()
        caller = await session.caller()
        quick = await world.consumer()
        await quick.until("session.snapshot")
        filler = "x" * 50_000
        for number in range(400):
            caller.say(type="roster.changed", seq=number, filler=filler)
        await session.signal.until(lambda: len(session.callers) == 1)
        assert len(world.room) == 1
        next(iter(session.callers.values())).say(type="roster.changed", seq=1, roster=[])
        assert (await quick.next())["type"] == "roster.changed"
        slow.socket.transport.resume_reading()
        # Behind what was written comes 4429; when that took over two seconds, an abort.
        assert await slow.closed() in (4429, 1006)
    finally:
        await world.stop()


async def test_stopping_says_1001_and_takes_nobody_new(world: World) -> None:
    widget = await world.consumer()
    async with httpx.AsyncClient(base_url=world.origin, trust_env=False) as client:
        assert (await client.get("/readyz")).status_code == 200
        await world.room.stop()
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
    assert await widget.closed() == 1001
    assert len(world.room) == 0
    with pytest.raises(Exception, match="403"):
        await world.widget()


async def test_a_widget_that_never_finishes_closing_holds_a_stop_up_for_its_bound_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written to it does not leave, and so neither does the close."""
    monkeypatch.setattr(outbox, "CLOSE_BOUND_S", 60.0)
    limits = replace(settings.limits, stop_bound_s=1.0, outgoing_bytes=100_000_000)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        session = await world.session()
        world.ledger.live["eng-1"] = session.location
        widget = await world.consumer()
        await widget.until("session.snapshot")
        widget.socket.transport.pause_reading()
        caller = await session.caller()
        for number in range(20):
            caller.say(type="roster.changed", seq=number, filler="x" * 1_000_000)
        [connection] = world.room.connections
        server_end = connection._pipe._protocol.transport  # type: ignore[attr-defined]
        await until(server_end.get_write_buffer_size, "the kernel takes no more of it")
        async with asyncio.timeout(10.0 * PATIENCE):
            await world.server.stop()
        widget.socket.transport.resume_reading()
        # 1012 is of the server below, which gave it up.
        assert await widget.closed() in (1001, 1006, 1012)
    finally:
        await world.stop()


async def test_revoking_somebody_closes_their_connections(world: World) -> None:
    agent, consumer = await world.agent(), await world.consumer()
    assert world.room.withdraw(world.room.revocations.make("acc", agent_hash("acc.7"))) == 1
    assert await agent.closed() == 4401
    await consumer.say(type="connection.ping")
    assert (await consumer.next())["type"] == "connection.pong"


async def test_a_silent_widget_is_swept_out(world: World) -> None:
    widget = await world.consumer()
    (connection,) = world.room.connections
    world.room.sweep(connection.heard_at + 14.0)
    await widget.say(type="connection.ping")
    assert (await widget.next())["type"] == "connection.pong"
    # The timers of a page that nobody looks at may rest for a minute: it is asked.
    for silence_s in (16.0, 29.0):
        world.room.sweep(connection.heard_at + silence_s)
        assert (await widget.next())["type"] == "connection.unheard"
    assert len(world.room) == 1
    world.room.sweep(connection.heard_at + 31.0)
    assert await widget.closed() == 1001


def test_a_busy_port_is_one_sentence() -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(BadSettings, match=f"Port {port} is in use; stop what listens there"):
        bind("127.0.0.1", port)
    taken.close()


def test_an_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(BadSettings, match="no address of this machine"):
        bind("192.0.2.1", 0)


async def test_a_demo_does_not_serve_an_address_others_can_reach(world: World) -> None:
    demo = replace(world.settings, demo=DemoHost(origin="http://127.0.0.1:8788"))
    listening = bind("0.0.0.0", 0)
    try:
        with pytest.raises(BadSettings, match="loopback only"):
            gateway_server(demo, world.app, [listening])
    finally:
        listening.close()
