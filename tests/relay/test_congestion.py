"""One subscriber's line gets narrow: that subscriber sees a lower layer, nobody else does.

On a clock of its own (`virtual_time`), with a seeded shaper: the same on every machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from actors.relay import Grade, PublishSource
from benchmarks.shaper import Downlink
from tests.patience import until

from .camera import RIDS, Camera, shown
from .client import CraftedClient
from .conftest import Call
from .virtual_time import run_in_virtual_time
from .voice import concealed, talk

NARROW = 20.0
"""Seconds on the narrow line."""


@asynccontextmanager
async def three_people() -> AsyncIterator[tuple[Call, CraftedClient, CraftedClient, CraftedClient]]:
    """Ada sends three layers and a voice; Ben and Cy look at her at full size."""
    loop = asyncio.get_running_loop()
    call = Call(clock=loop.time)
    await call.relay.open()
    ada = await call.join("ada", rids=RIDS)
    ben = await call.join("ben")
    cy = await call.join("cy")
    # About 150, 500 and 1,500 kbit/s.
    camera = Camera(ada, parts={"q": 1, "h": 2, "f": 6}, octets=1000, interval=1 / 30)
    voice = asyncio.create_task(talk(ada))
    for client in (ben, cy):
        client.acknowledge()
        call.relay.set_view(client.transport_id, {0: (1280, 720)}, {})
    try:
        yield call, ada, ben, cy
    finally:
        voice.cancel()
        with suppress(asyncio.CancelledError):
            await voice
        await camera.stop()
        await call.close()


async def narrow_for_a_while() -> None:
    loop = asyncio.get_running_loop()
    async with three_people() as (call, ada, ben, cy):
        microphone = ada.track(PublishSource.MICROPHONE)
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
    async with three_people() as (call, _, ben, cy):
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
