"""Three layers of one camera: chosen per subscriber, switched without a bend."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.relay import PublishSource
from actors.relay.forwarding.numbering import TURNS
from actors.relay.forwarding.publication import Publication
from actors.relay.people.layers import facts_of
from actors.relay.wire.rtcp import SenderInfo, ntp_of, picture_loss, sender_report
from tests.patience import until

from .camera import HEIGHTS, RIDS, Camera, key_content, shown
from .client import CraftedClient
from .conftest import Call, call_in_virtual_time


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


def layers_of(call: Call) -> tuple[str, dict[str, int]]:
    """Return which layer Ben's picture is of, and the heights of all, as the snapshot says it."""
    shown: dict[str, Any] = json.loads(json.dumps(call.relay.snapshot()))
    transports = {each["participant_id"]: each for each in shown["transports"]}
    (picture,) = [each for each in transports["ben"]["subscriptions"] if each["video"]]
    (camera,) = [each for each in transports["ada"]["publications"] if each["source"] == "camera"]
    return picture["rid"], {layer["rid"]: layer["height"] for layer in camera["layers"]}


async def test_the_displayed_size_chooses_the_layer_and_nothing_bends(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, _, ben = stage
    sizes = {"q": (320, 180), "h": (640, 360), "f": (1280, 720)}
    for rid in "qfhq":
        call.relay.set_view("ben-1", {0: sizes[rid]}, {})
        await until(lambda rid=rid: shown(ben) == rid)  # type: ignore[misc]
        assert layers_of(call) == (rid, HEIGHTS)
    # Sequence, time and pictures go on as if one camera sent them.
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


async def a_layer_that_has_never_come(call: Call) -> None:
    ada = await call.join("ada", rids=RIDS)
    ben = await call.join("ben")
    camera = Camera(ada, interval=1 / 30)
    camera.sending.discard("h")
    call.relay.set_view("ben-1", {0: (640, 360)}, {})
    await until(lambda: ("ada", PublishSource.CAMERA, ("q", "h")) in call.listener.layers)
    camera.sending = {"q", "h"}
    await until(lambda: shown(ben) == "h")
    await camera.stop()


def test_a_layer_that_has_never_come_is_asked_for_where_it_fits_the_display() -> None:
    """A browser begins with some of its layers, and hears what is needed before the next comes."""
    call_in_virtual_time(a_layer_that_has_never_come)


async def first_layers(call: Call, key_delay: float) -> list[str]:
    """Let Ada, then Cy have Ben's only seat, and Dee come later; return how each picture began."""
    cameras = []
    for name in ("ada", "cy"):
        client = await call.join(name, rids=RIDS, seats=0)
        cameras.append(Camera(client, interval=1 / 30, key_delay=key_delay))
        intake = call.relay.transports[client.transport_id].intake
        await until(lambda intake=intake: len(intake.layers) == 3)  # type: ignore[misc]
    ben = await call.join("ben", publish=(), seats=1)
    call.relay.set_view("ben-1", {0: (1280, 720)}, {})
    _, video = ben.seat(0)
    await until(lambda: shown(ben) == "f")
    begun = [ben.heard_on(video)[0]]
    before = len(ben.heard_on(video))
    call.relay.remove("ada")
    await until(lambda: len(ben.heard_on(video)) > before)
    begun.append(ben.heard_on(video)[before])
    await until(lambda: shown(ben) == "f")
    dee = await call.join("dee", publish=(), seats=1)
    call.relay.set_view("dee-1", {0: (1280, 720)}, {})
    await until(lambda: shown(dee) == "f")
    begun.append(dee.heard_on(dee.seat(0)[1])[0])
    for camera in cameras:
        await camera.stop()
    return [heard.content[-1:].decode() for heard in begun]


@pytest.mark.parametrize("key_delay", [0.0, 0.4])
def test_who_sits_down_is_seen_in_the_lowest_layer_first(key_delay: float) -> None:
    """However good the line: its key frame is the smallest, and comes also where others are off.

    With an encoder that takes its time too, in which layers are chosen anew.
    """
    began = call_in_virtual_time(partial(first_layers, key_delay=key_delay))
    assert began == ["q", "q", "q"]


async def test_a_low_estimate_shows_a_lower_layer_and_recovery_brings_it_back(
    stage: tuple[Call, Camera, CraftedClient],
) -> None:
    call, _, ben = stage
    call.relay.set_view("ben-1", {0: (1280, 720)}, {})
    await until(lambda: shown(ben) == "f")
    transport = call.relay.transports["ben-1"]
    transport.estimate.bitrate = 1_000
    await until(lambda: transport.starved and shown(ben) == "q")
    transport.estimate.bitrate = 5_000_000
    await until(lambda: shown(ben) == "f")


async def seen_in_full(call: Call) -> tuple[CraftedClient, Camera, CraftedClient]:
    """Let Ben see the highest layer of Ada's camera."""
    ada, ben = await call.join("ada", rids=RIDS), await call.join("ben")
    camera = Camera(ada, interval=1 / 30)
    call.relay.set_view("ben-1", {0: (1280, 720)}, {})
    await until(lambda: shown(ben) == "f")
    return ada, camera, ben


async def a_layer_that_is_turned_off(call: Call) -> None:
    _, camera, ben = await seen_in_full(call)
    camera.sending.discard("f")
    await until(lambda: shown(ben) == "h")
    camera.sending.add("f")
    await until(lambda: shown(ben) == "f")
    await camera.stop()


def test_a_layer_that_is_turned_off_is_replaced_by_a_lower_one() -> None:
    call_in_virtual_time(a_layer_that_is_turned_off)


async def a_layer_that_goes_without_its_key_frame(call: Call) -> int:
    """Return how often Ada is asked for it after nobody looks at it any more."""
    ada, camera, ben = await seen_in_full(call)
    camera.sending.discard("f")
    # Ben misses some of it as it goes.
    ben.send_rtcp(picture_loss(1, ben.slots[ben.seat(0)[1]][0]))
    # For a moment it may yet be about to come.
    await asyncio.sleep(1.5)
    assert shown(ben) == "h"
    gone = ada.track(PublishSource.CAMERA, "f").ssrc
    assert [ssrc for ssrc, _ in ada.key_frame_requests].count(gone) > 0
    ada.key_frame_requests.clear()
    await asyncio.sleep(5)
    asked = [ssrc for ssrc, _ in ada.key_frame_requests]
    camera.sending.add("f")
    await until(lambda: shown(ben) == "f")
    await camera.stop()
    return asked.count(gone)


def test_nobody_is_asked_for_a_key_frame_of_a_layer_that_they_have_turned_off() -> None:
    """Its SSRC stands for the encoder: a browser answers with key frames of all other layers."""
    assert call_in_virtual_time(a_layer_that_goes_without_its_key_frame) == 0


async def layers_that_somebody_needs(call: Call) -> None:
    ada, ben = await call.join("ada", rids=RIDS), await call.join("ben")
    camera = Camera(ada, interval=1 / 30)
    call.relay.set_view("ben-1", {0: (320, 180)}, {})
    await until(lambda: shown(ben) == "q")
    told = call.listener.layers
    await until(lambda: told and told[-1] == ("ada", PublishSource.CAMERA, ("q",)))
    call.relay.set_view("ben-1", {0: (640, 360)}, {})
    await until(lambda: told[-1] == ("ada", PublishSource.CAMERA, ("q", "h")))
    call.relay.set_view("ben-1", {0: None}, {})
    await until(lambda: told[-1] == ("ada", PublishSource.CAMERA, ("q",)))
    # What an answer names without more libwebrtc takes as wanted, after an ICE restart too.
    ada.negotiate()
    assert "a=simulcast:recv q;~h;~f\r\n" in ada.answer
    await camera.stop()


def test_layers_nobody_needs_are_turned_off_but_never_the_lowest() -> None:
    call_in_virtual_time(layers_that_somebody_needs)


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
    # A screen that stands still costs nothing; one layer of several may be wanted again.
    silent = layer.last_arrival + 0.5
    for step in range(1, 11):
        layer.measure(silent + 0.5 * step)
    assert layer.bitrate < 1_000


def test_a_layer_that_is_off_costs_what_is_sent_in_its_place() -> None:
    """Else somebody who sends only a large one would be thought small, and flood every line."""

    def layer(rid: str, bitrate: float, *, active: bool) -> SimpleNamespace:
        return SimpleNamespace(rid=rid, bitrate=bitrate, height=0, active=lambda now: active)

    def costs(*layers: SimpleNamespace) -> list[float]:
        publication = SimpleNamespace(
            layers={each.rid: each for each in layers},
            ordered=lambda: list(layers),
            ordered_rids=lambda: list(RIDS),
        )
        return [fact.bitrate for fact in facts_of(cast(Publication, publication), 0.0)]

    q, h, f = (
        layer("q", 100, active=False),
        layer("h", 9e6, active=True),
        layer("f", 9, active=False),
    )
    assert costs(q, h, f) == [9e6, 9e6, 9]
    # A lower one that is sent stands in for a higher one that is not.
    q, h = layer("q", 100, active=True), layer("h", 200, active=False)
    assert costs(q, h, f) == [100, 200, 9]
    # Nothing is sent yet, or of some nothing has come.
    assert costs(layer("q", 0, active=False)) == [150_000, 500_000, 1_700_000]


async def test_a_fourth_layer_is_not_accepted(call: Call) -> None:
    ada = await call.join("ada", rids=("a", "b", "c", "d"))
    assert "a=simulcast:recv a;b;c\r\n" in ada.answer
    intake = call.relay.transports["ada-1"].intake
    ada.send_frame(key=True, rid="d")
    await until(lambda: intake.drops.unknown_ssrc == 1)
    assert not intake.layers


async def test_a_layer_is_taken_once_and_by_a_name_that_packets_can_carry(call: Call) -> None:
    """RFC 8851 §10 has letters of ASCII, digits, - and _; the others are no layers."""
    ada = CraftedClient(call.relay, "ada", rids=("a", "b"))
    named = ("a", "a", "\u00e9", "x+y", "x_y", "b", "c")
    offered = ada.offer().replace(
        "a=rid:a send\r\na=rid:b send\r\n", "".join(f"a=rid:{rid} send\r\n" for rid in named)
    )
    answer = call.relay.answer("ada", "ada-1", offered, ada.layout, ada.rights)
    assert "a=simulcast:recv a;x_y;b\r\n" in answer
    assert [line for line in answer.splitlines() if line.startswith("a=rid:")] == [
        "a=rid:a recv",
        "a=rid:x_y recv",
        "a=rid:b recv",
    ]


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


class Layers:
    """Ada's camera in two layers, of which one arrives a quarter of a second later."""

    def __init__(self, ada: CraftedClient, later: str, *, reports: bool) -> None:
        self.ada = ada
        self.later = later
        self.reports = reports
        self.answers = {"q"}
        """Layers whose key frames come when they are asked for."""
        self._wanted = {"q": True, "h": True}
        self._rids = {ada.track(PublishSource.CAMERA, rid).ssrc: rid for rid in ("q", "h")}
        self._origins = {rid: ada.track(PublishSource.CAMERA, rid).timestamp for rid in ("q", "h")}
        ada.on_key_frame_request = lambda ssrc: self._wanted.update({self._rids[ssrc]: True})
        self._began = asyncio.get_running_loop().time()
        self._tasks = [asyncio.create_task(self._send(rid)) for rid in ("q", "h")]

    async def _send(self, rid: str) -> None:
        loop = asyncio.get_running_loop()
        track = self.ada.track(PublishSource.CAMERA, rid)
        late = 0.25 if rid == self.later else 0.02
        for number in itertools.count():
            captured = number / 30
            await asyncio.sleep(max(0.0, self._began + captured + late - loop.time()))
            track.timestamp = self._origins[rid] + 3000 * number & 0xFFFFFFFF
            if self.reports and number % 10 == 0:
                info = SenderInfo(track.ssrc, ntp_of(captured + 5000), track.timestamp, 1, 1)
                self.ada.send_rtcp(sender_report(info))
            key = self._wanted[rid] and rid in self.answers
            self._wanted[rid] = self._wanted[rid] and not key
            content = (key_content(rid) if key else b"") + b"/%d/%s" % (number, rid.encode())
            self.ada.send_frame(key=key, parts=(content,), rid=rid)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def layers_of_unlike_delay(
    call: Call, later: str, *, reports: bool
) -> list[tuple[int, str, int]]:
    """Switch up and down; return (picture, layer, time stamp) as Ben got them."""
    ada, ben = await call.join("ada", rids=("q", "h")), await call.join("ben")
    call.relay.set_view("ben-1", {0: (320, 180)}, {})
    layers = Layers(ada, later, reports=reports)
    await asyncio.sleep(2)
    # The larger is wanted, but its key frame does not come for a while: the old one goes on.
    call.relay.set_view("ben-1", {0: (640, 360)}, {})
    await asyncio.sleep(1.5)
    before = ben.heard_on(ben.seat(0)[1])[-1]
    assert before.content.endswith(b"q")
    assert before.at > asyncio.get_running_loop().time() - 0.1
    layers.answers.add("h")
    await asyncio.sleep(2)
    call.relay.set_view("ben-1", {0: (320, 180)}, {})
    await asyncio.sleep(2)
    await layers.stop()
    found = []
    for heard in ben.heard_on(ben.seat(0)[1]):
        number, rid = heard.content.rsplit(b"/", 2)[-2:]
        found.append((int(number), rid.decode(), heard.packet.timestamp))
    assert [rid for rid, _ in itertools.groupby(rid for _, rid, _ in found)] == ["q", "h", "q"]
    return found


@pytest.mark.parametrize("later", ["q", "h"])
def test_layers_are_put_where_the_same_picture_would_stand(later: str) -> None:
    """By both layers' sender reports: a moment has one time stamp, whichever layer shows it."""
    found = call_in_virtual_time(partial(layers_of_unlike_delay, later=later, reports=True))
    ahead = 0
    for (before, old, stamp), (picture, rid, following) in itertools.pairwise(found):
        step = (following - stamp) & 0xFFFFFFFF
        if old == rid or old == later:
            ahead += picture - before > 3
            assert abs(step - 3000 * (picture - before)) < 90, (before, old, picture, rid)
        else:
            # What was seen already is shown again, and the time line does not go back for it.
            assert picture < before
            assert step == TURNS
    assert ahead == 1


@pytest.mark.parametrize("later", ["q", "h"])
def test_without_reports_layers_follow_by_arrival_and_always_forward(later: str) -> None:
    found = call_in_virtual_time(partial(layers_of_unlike_delay, later=later, reports=False))
    for (_, _, before), (_, _, after) in itertools.pairwise(found):
        assert 0 < (after - before) & 0xFFFFFFFF < 9000
