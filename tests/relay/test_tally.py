"""What a relay has done in all: nothing that closes takes its counts along."""

from __future__ import annotations

import asyncio
from collections import Counter

from actors.relay.network.drops import Drops
from actors.relay.wire.rtcp import negative_acknowledgement, picture_loss
from broker.measures import Count, Standing
from tests.patience import until

from .camera import RIDS, Camera, shown
from .conftest import Call

REASONS = {each.which for each in Count if each.family == "dropped"}


def falls(before: Counter[Count], after: Counter[Count]) -> list[Count]:
    return [each for each in Count if after[each] < before[each]]


def test_every_reason_of_the_intake_has_its_word() -> None:
    assert set(Drops.__slots__) < REASONS


async def test_what_is_forwarded_asked_for_and_dropped_stays_when_all_has_closed(
    call: Call,
) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    ssrc = ben.slots[video][0]
    ada.send_frame(key=True, parts=(b"one", b"two", b"three"))
    await until(lambda: len(ben.heard_on(video)) == 3)
    sent = call.relay.counts()
    assert sent[Count.PACKETS_IN] >= 3
    assert sent[Count.PACKETS_OUT] >= 3
    assert sent[Count.BYTES_OUT] > sent[Count.PACKETS_OUT]
    missed = ben.heard_on(video)[1].packet.sequence_number
    ben.send_rtcp(negative_acknowledgement(1, ssrc, [missed, missed - 20_000 & 0xFFFF]))
    ben.send_rtcp(picture_loss(1, ssrc))
    await until(lambda: call.relay.counts()[Count.KEY_FRAMES_IN])
    asked = call.relay.counts()
    assert (asked[Count.NACKED_ANSWERED], asked[Count.NACKED_UNANSWERED]) == (1, 1)
    passed_on = Count.KEY_FRAMES_OUT
    await until(lambda: call.relay.counts()[passed_on] > sent[passed_on], "it is passed on")
    standing = call.relay.standing()
    assert standing == {Standing.TRANSPORTS_CONNECTED: 2, Standing.GRADES_GOOD: 2}
    for name in ("ada", "ben"):
        call.relay.transports[f"{name}-1"].intake.drops.unauthentic += 5
        before = call.relay.counts()
        call.relay.remove(name)
        assert not falls(before, call.relay.counts())
    before = call.relay.counts()
    assert before[Count.DROPPED_UNAUTHENTIC] == 10
    call.relay.sockets[0].dropped_sends += 7
    await call.relay.close()
    after = call.relay.counts()
    assert not falls(before, after)
    assert after[Count.DROPPED_BLOCKED] == before[Count.DROPPED_BLOCKED] + 7
    assert call.relay.standing() == {}
    assert after == call.relay.counts(), "nothing counts twice"


async def test_a_repair_that_waits_for_its_turn_is_not_counted_as_unanswered(call: Call) -> None:
    """It would be answered later, and a count would have fallen."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    transport = call.relay.transports["ben-1"]
    transport.estimate.bitrate = 100_000
    # Two packets at once is the pace of such a line.
    transport.outlet.tick(asyncio.get_running_loop().time())
    ada.send_frame(key=True, parts=(bytes(1100),) * 4)
    await until(lambda: len(ben.heard_on(video)) == 4)
    numbers = [heard.packet.sequence_number for heard in ben.heard_on(video)]
    ben.send_rtcp(negative_acknowledgement(1, ben.slots[video][0], numbers))
    seen: set[tuple[int, int]] = set()

    def all_are_answered() -> bool:
        counts = call.relay.counts()
        seen.add((counts[Count.NACKED_ANSWERED], counts[Count.NACKED_UNANSWERED]))
        return (4, 0) in seen

    await until(all_are_answered)
    assert {(2, 0), (3, 0)} & seen
    assert {unanswered for _, unanswered in seen} == {0}


async def test_only_another_layer_of_the_same_person_is_a_switch(call: Call) -> None:
    ada = await call.join("ada", rids=RIDS, seats=0)
    ben = await call.join("ben", publish=(), seats=1)
    camera = Camera(ada)
    try:
        call.relay.set_view("ben-1", {0: (320, 180)}, {})
        await until(lambda: shown(ben) == "q")
        before = call.relay.counts()[Count.LAYER_SWITCHES]
        call.relay.set_view("ben-1", {0: (1280, 720)}, {})
        await until(lambda: shown(ben) == "f")
        assert call.relay.counts()[Count.LAYER_SWITCHES] > before
    finally:
        await camera.stop()
    cy = await call.join("cy", seats=0)
    before, heard = call.relay.counts()[Count.LAYER_SWITCHES], len(ben.heard_on(ben.seat(0)[1]))
    call.relay.remove("ada")
    cy.send_frame(key=True)
    await until(lambda: len(ben.heard_on(ben.seat(0)[1])) > heard, "another person's picture")
    assert call.relay.counts()[Count.LAYER_SWITCHES] == before
