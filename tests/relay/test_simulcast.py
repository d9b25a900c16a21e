"""Three layers of one camera: chosen per subscriber, switched without a bend."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from actors.relay import PublishSource
from tests.patience import until

from .camera import RIDS, Camera, shown
from .client import CraftedClient
from .conftest import Call


@pytest.fixture
async def stage(call: Call) -> AsyncIterator[tuple[Call, Camera, CraftedClient]]:
    ada = await call.join("ada", rids=RIDS)
    ben = await call.join("ben")
    camera = Camera(ada)
    yield call, camera, ben
    await camera.stop()


async def test_the_answer_accepts_every_layer(call: Call) -> None:
    ada = await call.join("ada", rids=RIDS)
    assert "a=simulcast:recv q;h;f" in ada.answer
    assert ada.answer.count(" recv\r\n") == 3


async def test_the_displayed_size_chooses_the_layer(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, _, ben = stage
    for size, rid in (((320, 180), "q"), ((1280, 720), "f"), ((640, 360), "h")):
        call.relay.set_view("ben", {0: size}, {})
        await until(lambda rid=rid: shown(ben) == rid)  # type: ignore[misc]


async def test_a_switch_bends_neither_sequence_nor_time_nor_pictures(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, _, ben = stage
    for size, rid in (((320, 180), "q"), ((1280, 720), "f"), ((320, 180), "q")):
        call.relay.set_view("ben", {0: size}, {})
        await until(lambda rid=rid: shown(ben) == rid)  # type: ignore[misc]
    heard = ben.heard_on(ben.seat(0)[1])
    for before, after in itertools.pairwise(heard):
        assert after.packet.sequence_number == before.packet.sequence_number + 1 & 0xFFFF
        assert before.picture is not None
        assert after.picture == before.picture + 1 & 0x7FFF
        step = after.packet.timestamp - before.packet.timestamp & 0xFFFFFFFF
        # By sender reports every frame is 1/30 s after the one before, across layers too.
        assert 1 <= step <= 9000
    switches = [
        after
        for before, after in itertools.pairwise(heard)
        if before.content[-1:] != after.content[-1:]
    ]
    # A layer begins with a key frame.
    assert all(h.packet.payload[5] & 1 == 0 for h in switches)


async def test_a_low_estimate_shows_a_lower_layer_and_recovery_brings_it_back(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, _, ben = stage
    call.relay.set_view("ben", {0: (1280, 720)}, {})
    await until(lambda: shown(ben) == "f")
    transport = call.relay.transports["ben-1"]
    transport.estimate.bitrate = 1_000
    await until(lambda: transport.starved and shown(ben) == "q")
    transport.estimate.bitrate = 5_000_000
    await until(lambda: shown(ben) == "f")


async def test_a_layer_that_is_turned_off_is_replaced_by_a_lower_one(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, camera, ben = stage
    call.relay.set_view("ben", {0: (1280, 720)}, {})
    await until(lambda: shown(ben) == "f")
    camera.sending.discard("f")
    await until(lambda: shown(ben) == "h")
    camera.sending.add("f")
    await until(lambda: shown(ben) == "f")


async def test_layers_nobody_needs_are_turned_off_but_never_the_lowest(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, _, ben = stage
    call.relay.set_view("ben", {0: (320, 180)}, {})
    await until(lambda: shown(ben) == "q")
    told = call.listener.layers
    await until(lambda: told and told[-1] == ("ada", PublishSource.CAMERA, ("q",)))
    call.relay.set_view("ben", {0: (640, 360)}, {})
    await until(lambda: told[-1] == ("ada", PublishSource.CAMERA, ("q", "h")))
    call.relay.set_view("ben", {0: None}, {})
    await until(lambda: told[-1] == ("ada", PublishSource.CAMERA, ("q",)))


async def test_a_layers_rate_counts_from_its_first_packet(call: Call) -> None:
    """From the machine's start it would be next to nothing, and the largest layer always fit."""
    ada = await call.join("ada")
    intake = call.relay.transports["ada-1"].intake
    ada.send_frame(key=True, parts=(bytes(1000),))
    await until(lambda: intake.layers)
    (layer,) = intake.layers.values()
    layer.measure(layer.last_arrival + 0.1)
    assert layer.bitrate == 0, "too early to say"
    layer.measure(layer.last_arrival + 0.5)
    assert 16_000 <= layer.bitrate <= 17_000


async def test_a_fourth_layer_is_not_accepted(call: Call) -> None:
    ada = await call.join("ada", rids=("a", "b", "c", "d"))
    assert "a=simulcast:recv a;b;c\r\n" in ada.answer
    intake = call.relay.transports["ada-1"].intake
    ada.send_frame(key=True, rid="d")
    await until(lambda: intake.drops.unknown_ssrc == 1)
    assert not intake.layers


async def test_repairs_find_their_layer_by_the_repaired_rid(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, camera, _ = stage
    intake = call.relay.transports["ada-1"].intake
    await until(lambda: len(intake.layers) == 3)
    ada = camera.client
    for rid in RIDS:
        track = ada.track(PublishSource.CAMERA, rid)
        ada.resend(track, track.sequence, track.timestamp, b"\x90")
    await until(lambda: len(intake.repairs) == 3)
    for rid in RIDS:
        assert intake.repairs[ada.track(PublishSource.CAMERA, rid).rtx_ssrc].rid == rid
    # One repair stream for each layer and no more.
    dropped = intake.drops.unknown_ssrc
    track = ada.track(PublishSource.CAMERA, "q")
    ada.send(ada.rtp(track, b"\0\0\x90", ssrc=77, payload_type=track.rtx_payload_type or 0))
    await until(lambda: intake.drops.unknown_ssrc == dropped + 1)
    assert len(intake.repairs) == 3
