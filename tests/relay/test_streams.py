"""What tells one stream of a sender from another: the SSRCs that the offer named, MID and RID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiortc.rtp import RtcpRrPacket

from actors.relay import PublishSource
from actors.relay.wire.rtp import MID_URI, TRANSPORT_CC_URI
from benchmarks.media.description import Dialect
from benchmarks.media.packet import FRAME_TICKS
from tests.patience import until

from .camera import RIDS, Camera, shown
from .client import CraftedClient
from .conftest import Call, call_in_virtual_time

FIREFOX = Dialect(signals_layers=True)
WITHOUT_RIDS = Dialect(signals_layers=True, extensions={MID_URI: 4, TRANSPORT_CC_URI: 3})


async def test_a_sender_that_names_no_ssrcs_is_known_by_its_mids(call: Call) -> None:
    """As Chromium's layers are; a MID that nothing is sent on is nobody's."""
    ada = await call.join("ada", dialect=Dialect(signals_ssrcs=False))
    ben = await call.join("ben")
    assert "a=ssrc" not in ada.offer()
    audio, video = ben.seat(0)
    track = ada.track(PublishSource.MICROPHONE)
    ada.send(ada.rtp(track, b"nobody's", mid="nothing", ssrc=5000))
    ada.send_audio(b"by its mid")
    ada.send_frame(key=True, parts=(b"by its mid",))
    await until(lambda: ben.heard_on(audio) and ben.heard_on(video))
    assert [each.content for each in ben.heard] == [b"by its mid"] * 2
    assert call.relay.transports["ada-1"].intake.drops.unknown_ssrc == 1


@pytest.fixture
async def named(call: Call) -> AsyncIterator[tuple[Call, Camera, CraftedClient]]:
    """Ada names the SSRCs of three layers beside their RIDs, as Firefox does."""
    ada = await call.join("ada", rids=RIDS, dialect=FIREFOX)
    ben = await call.join("ben", publish=(), seats=1)
    # Before anything of hers: somebody else's SSRC under her MID and the RID of her lowest layer.
    stranger = ada.track(PublishSource.CAMERA, "q")
    ada.send(ada.rtp(stranger, b"unnamed", ssrc=5000))
    drops = call.relay.transports["ada-1"].intake.drops
    await until(lambda: drops.unknown_ssrc == 1)
    camera = Camera(ada)
    yield call, camera, ben
    await camera.stop()


async def test_layers_whose_ssrcs_are_named_go_by_their_rids(
    named: tuple[Call, Camera, CraftedClient],
) -> None:
    call, camera, ben = named
    offered, tracks = camera.client.offer(), camera.client.tracks
    assert "a=simulcast:recv q;h;f" in camera.client.answer
    layers = {rid: tracks[PublishSource.CAMERA, rid] for rid in RIDS}
    for track in layers.values():
        assert f"a=ssrc-group:FID {track.ssrc} {track.rtx_ssrc}\r\n" in offered
    for size, rid in (((320, 180), "q"), ((1280, 720), "f"), ((640, 360), "h")):
        call.relay.set_view("ben-1", {0: size}, {})
        await until(lambda rid=rid: shown(ben) == rid)  # type: ignore[misc]
    found = call.relay.transports["ada-1"].intake.layers
    assert {ssrc: layer.rid for ssrc, layer in found.items()} == {
        track.ssrc: rid for rid, track in layers.items()
    }
    assert all(each.content != b"unnamed" for each in ben.heard)


async def test_a_layers_repairs_go_to_it_by_its_rid(
    named: tuple[Call, Camera, CraftedClient],
) -> None:
    call, camera, ben = named
    call.relay.set_view("ben-1", {0: (320, 180)}, {})
    await until(lambda: shown(ben) == "q")
    await camera.stop()
    ada, (_, video) = camera.client, ben.seat(0)
    track = ada.track(PublishSource.CAMERA, "q")
    first, lost, last = ada.send_frame(parts=(b"1", b"lost", b"3"), rid="q", lose=(1,))
    assert first < lost < last
    await until(lambda: ben.heard_on(video)[-1].content == b"3")
    stamp = track.timestamp - FRAME_TICKS & 0xFFFFFFFF
    ada.resend(track, lost, stamp, track.vp8_payload(b"lost", key=False, first=False))
    await until(lambda: ben.heard_on(video)[-1].content == b"lost")
    intake = call.relay.transports["ada-1"].intake
    assert {ssrc: layer.rid for ssrc, layer in intake.repairs.items()} == {track.rtx_ssrc: "q"}


async def named_until_reported(call: Call, dialect: Dialect) -> None:
    ada = await call.join("ada", rids=RIDS, dialect=dialect)
    ben = await call.join("ben", publish=(), seats=1)
    _, video = ben.seat(0)
    track = ada.track(PublishSource.CAMERA, "q")

    def reported() -> bool:
        reports = [each for each in ada.reports if isinstance(each, RtcpRrPacket)]
        return any(block.ssrc == track.ssrc for each in reports for block in each.reports)

    async def send(rid: str, content: bytes) -> None:
        track.rid = rid
        ada.send_frame(key=True, parts=(content,), rid="q")
        await asyncio.sleep(1.5)

    await send("", b"whose")
    assert not reported(), "it would be named no more"
    await send("q", b"q's")
    assert reported()
    await send("", b"q's still")
    assert [each.content for each in ben.heard_on(video)] == [b"q's", b"q's still"]
    assert call.relay.transports["ada-1"].intake.drops.unknown_ssrc == 1


@pytest.mark.parametrize("dialect", [FIREFOX, Dialect()], ids=["named SSRCs", "RIDs alone"])
def test_a_layer_is_named_until_the_first_report_of_it(dialect: Dialect) -> None:
    """libwebrtc, in Chromium and Firefox, sends RIDs until a report has a block of the SSRC."""
    call_in_virtual_time(partial(named_until_reported, dialect=dialect))


async def test_layers_that_no_packet_would_name_are_not_accepted(call: Call) -> None:
    """Nothing says which of the SSRCs is which RID's (RFC 8853 §5): one is taken, as no layer."""
    ada = await call.join("ada", rids=RIDS, dialect=WITHOUT_RIDS)
    ben = await call.join("ben", publish=(), seats=1)
    assert "a=simulcast:send q;h;f" in ada.offer()
    assert "a=simulcast" not in ada.answer
    assert "a=rid" not in ada.answer
    _, video = ben.seat(0)
    intake = call.relay.transports["ada-1"].intake
    for rid in ("h", "q", "f"):
        ada.send_frame(key=True, parts=(rid.encode(),), rid=rid)
    await until(lambda: intake.drops.unknown_ssrc == 2)
    ada.send_frame(parts=(b"h goes on",), rid="h")
    await until(lambda: len(ben.heard_on(video)) == 2)
    assert [each.content for each in ben.heard_on(video)] == [b"h", b"h goes on"]
    (layer,) = intake.layers.values()
    assert (layer.ssrc, layer.rid) == (ada.track(PublishSource.CAMERA, "h").ssrc, "")
