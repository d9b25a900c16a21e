"""One subscriber's line gets narrow: that subscriber sees a lower layer, nobody else does.

On a clock of its own (`virtual_time`), with a seeded shaper: the same on every machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.relay import Grade, PublishSource
from actors.relay.congestion.estimate import Congestion
from benchmarks.shaper import Downlink
from tests.patience import until

from .camera import RIDS, Camera, shown
from .client import CraftedClient
from .conftest import Call, call_in_virtual_time
from .virtual_time import VirtualTimeLoop, run_in_virtual_time
from .voice import concealed, talking

NARROW = 20.0
"""Seconds on the narrow line."""


@asynccontextmanager
async def three_people(
    *, layers: bool
) -> AsyncIterator[tuple[Call, Camera, CraftedClient, CraftedClient]]:
    """Ada sends a voice and a picture; Ben and Cy look at her at full size.

    It has three `layers` of about 240, 480 and 1,440 kbit/s, or only the lowest, without simulcast.
    """
    call = Call(clock=asyncio.get_running_loop().time)
    await call.relay.open()
    ada = await call.join("ada", rids=RIDS if layers else ())
    ben, cy = await call.join("ben"), await call.join("cy")
    parts = {"q": 1, "h": 2, "f": 6} if layers else {"": 1}
    camera = Camera(ada, rids=tuple(parts), parts=parts, octets=1000, interval=1 / 30)
    try:
        async with talking(ada):
            for client in (ben, cy):
                client.acknowledge()
                call.relay.set_view(client.transport_id, {0: (1280, 720)}, {})
            yield call, camera, ben, cy
    finally:
        await camera.stop()
        await call.close()


async def narrow_for_a_while() -> None:
    loop = asyncio.get_running_loop()
    async with three_people(layers=True) as (call, camera, ben, cy):
        microphone = camera.client.track(PublishSource.MICROPHONE)
        estimate = call.relay.transports["ben-1"].estimate
        await until(lambda: shown(ben) == "f" and shown(cy) == "f")
        await asyncio.sleep(3)
        others = len(cy.heard_on(cy.seat(0)[1]))

        ben.downlink = Downlink(500_000, loss=0.05, delay=0.1)
        began, first = loop.time(), microphone.packets
        await until(lambda: shown(ben) in ("q", "h"), within=3.0)
        estimates = []
        while loop.time() < began + NARROW:
            await asyncio.sleep(0.1)
            if loop.time() > began + 3:
                estimates.append(estimate.bitrate)
        last = microphone.packets
        # Random loss of a twentieth does not starve the line, nor is it taken for more than it is.
        assert 300_000 < sum(estimates) / len(estimates) < 500_000
        assert concealed(ben, first, last - 20) <= 0.03

        ben.downlink = None
        await until(lambda: shown(ben) == "f", within=10.0)
        # The other never missed a word, nor saw anything but its own layer.
        assert concealed(cy, 0, microphone.packets - 20) == 0
        assert len(cy.heard_on(cy.seat(0)[0])) >= microphone.packets - 1
        assert {h.content[-1:] for h in cy.heard_on(cy.seat(0)[1])[others:]} == {b"f"}


def test_a_narrow_line_lowers_the_layer_and_recovery_brings_it_back() -> None:
    """500 kbit/s, 5 % loss and 100 ms on one downlink: lower within 3 s, back within 10 s."""
    run_in_virtual_time(narrow_for_a_while())


async def too_narrow_for_large_pictures() -> None:
    async with three_people(layers=True) as (call, _, ben, cy):
        await until(lambda: shown(ben) == "f" and shown(cy) == "f")
        ben.downlink = Downlink(300_000, loss=0.0, delay=0.05)
        grades = call.listener.grades
        await until(lambda: ("ben", Grade.FAIR, "bandwidth") in grades, within=20.0)
        assert shown(ben) == "q"
        ben.downlink = None
        await until(lambda: grades[-1] == ("ben", Grade.GOOD, ""), within=10.0)
        assert {name for name, _, _ in grades} == {"ben"}


def test_a_line_that_carries_only_the_smallest_pictures_is_called_slow() -> None:
    """300 kbit/s on one downlink of three people's call, and nothing lost."""
    run_in_virtual_time(too_narrow_for_large_pictures())


async def more_than_the_line_carries() -> None:
    loop = asyncio.get_running_loop()
    async with three_people(layers=False) as (call, camera, ben, cy):
        microphone = camera.client.track(PublishSource.MICROPHONE)
        (_, video), grades = ben.seat(0), call.listener.grades

        def pictures(client: CraftedClient = ben) -> int:
            return len(client.heard_on(video))

        ben.downlink = Downlink(1_000_000, loss=0.0, delay=0.05)
        await until(lambda: pictures() > 30)
        # Twice what Ben's line carries, in the only layer there is: an eighth of it is enough.
        camera.parts[""] = 8
        transport = call.relay.transports["ben-1"]
        await until(lambda: transport.held == 1, within=4.0, every=0.05)
        await asyncio.sleep(0.5)
        seen, first = pictures(), microphone.packets
        others = pictures(cy)
        await until(lambda: ("ben", Grade.POOR, "bandwidth") in grades, within=8.0, every=0.05)
        await asyncio.sleep(6)
        assert pictures() == seen
        assert concealed(ben, first, microphone.packets - 20) <= 0.03
        assert pictures(cy) - others > 6 * 8 * 30
        # It fits again; then the line does, though nothing but padding has shown that.
        camera.parts[""] = 1
        await until(lambda: pictures() > seen, within=6.0, every=0.05)
        await until(lambda: grades[-1] == ("ben", Grade.GOOD, ""), within=10.0, every=0.05)
        camera.parts[""] = 8
        await until(lambda: transport.held == 1, within=4.0, every=0.05)
        await asyncio.sleep(0.5)
        seen = pictures()
        ben.downlink = None
        began = loop.time()
        await until(lambda: pictures() > seen, within=15.0, every=0.05)
        assert loop.time() - began > 1
        assert {name for name, _, _ in grades} == {"ben"}
        assert concealed(cy, 0, microphone.packets - 20) == 0


def test_a_picture_that_a_line_does_not_carry_is_held_back_and_the_voice_goes_on() -> None:
    """1 Mbit/s on one downlink, and 2 in the only layer of a picture."""
    run_in_virtual_time(more_than_the_line_carries())


async def a_line_with_loss_of_its_own(loss: float) -> int:
    async with three_people(layers=False) as (call, _, ben, _):
        ben.downlink = Downlink(5_000_000, loss=loss, delay=0.05)
        transport = call.relay.transports["ben-1"]
        held = 0
        for _ in range(200):
            await asyncio.sleep(0.1)
            held += transport.held
        return held


def test_loss_that_finds_no_queue_holds_no_picture_back() -> None:
    """What it takes of a picture is repaired; without the picture it would be no less."""
    assert run_in_virtual_time(a_line_with_loss_of_its_own(0.15)) == 0


async def a_little_too_much() -> tuple[float, float]:
    """Return how much of the voice is made up, and how much of a tick's padding came at once."""
    loop = asyncio.get_running_loop()
    async with three_people(layers=False) as (call, camera, ben, _):
        microphone = camera.client.track(PublishSource.MICROPHONE)
        # A fifth more than the line carries: its queue is full, and all of the voice late.
        ben.downlink = Downlink(250_000, loss=0.0, delay=0.05)
        transport = call.relay.transports["ben-1"]
        await until(lambda: transport.held == 1, within=5.0, every=0.05)
        first, began, outlet = microphone.packets, loop.time(), transport.outlet
        at_once = 0.0
        while loop.time() < began + 8:
            sent = outlet.octets_sent
            await asyncio.sleep(0.005)
            if transport.pads:
                tick = 0.05 * 1.15 * transport.estimate.bitrate / 8
                at_once = max(at_once, (outlet.octets_sent - sent) / tick)
        return concealed(ben, first, microphone.packets - 20), at_once


def test_what_stands_in_a_queue_holds_a_picture_back_that_is_a_little_too_much() -> None:
    """And the line is found out about evenly: what comes at once is a queue by itself."""
    made_up, at_once = run_in_virtual_time(a_little_too_much())
    assert made_up <= 0.03
    assert 0.1 < at_once < 0.7


async def a_queue_on_the_way_before(call: Call) -> tuple[Congestion, Congestion]:
    """Let Ben tell of a queue, then come by another port; return what is known of either way."""
    loop = asyncio.get_running_loop()
    ben = await call.join("ben")
    transport = call.relay.transports["ben-1"]
    estimate, now = transport.estimate, loop.time()
    for number in range(20):
        estimate.sent(number, 1000, now + number / 100)
    arrivals = [(number, number / 100 + 0.03 * max(0, number - 9)) for number in range(20)]
    estimate.feedback(arrivals, now + 0.2)
    before = estimate.congestion(loop.time())
    selected = transport.ice.selected
    await ben.rebind()
    ben.send_check(nominate=True)
    await until(lambda: transport.ice.selected is not selected, every=0.01)
    await asyncio.sleep(0.1)
    return before, estimate.congestion(loop.time())


def test_a_queue_on_one_way_is_none_on_another() -> None:
    found = call_in_virtual_time(a_queue_on_the_way_before)
    assert found == (Congestion.QUEUE, Congestion.NONE)


async def a_process_without_its_processor() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    async with three_people(layers=False) as (call, _, ben, _):
        ben.downlink = Downlink(250_000, loss=0.0, delay=0.05)
        transport = call.relay.transports["ben-1"]
        for _ in range(16):
            await asyncio.sleep(0.5)
            loop.stand_still(0.15)
            assert transport.held == 0
        await until(lambda: transport.held == 1, within=5.0, every=0.05)


def test_a_relay_that_waits_for_its_processor_holds_no_picture_back() -> None:
    """What it sends late looks like a queue; it finds out which lines have one when it can."""
    run_in_virtual_time(a_process_without_its_processor())
