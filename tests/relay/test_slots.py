"""What a slot shows and what it leaves out: whose frame, from which moment, of which layer."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from actors.relay import PublishSource, SeatKind
from actors.relay.rtcp import SenderInfo, ntp_of, parts_of, sender_report
from actors.relay.transport_feedback import arrivals_in
from benchmarks.media.description import Dialect
from tests.patience import until

from .camera import key_content
from .client import CraftedClient
from .conftest import Call
from .test_repair import nack
from .virtual_time import run_in_virtual_time

CAMERA = PublishSource.CAMERA
MICROPHONE = PublishSource.MICROPHONE


async def a_seat_changes_hands() -> None:
    """Ada speaks, then Ben, in Cy's one seat; both send all the time, 50 ms after the capture."""
    loop = asyncio.get_running_loop()
    call = Call(clock=loop.time)
    await call.relay.open()
    people = {name: await call.join(name) for name in ("ada", "ben")}
    begun = loop.time()
    wanted = dict.fromkeys(people, begun)
    origins = {t: t.timestamp for client in people.values() for t in client.tracks.values()}
    for name, client in people.items():
        client.on_key_frame_request = lambda _, name=name: wanted.update({name: loop.time()})

    cy = await call.join("cy", publish=(), seats=1)
    for turn in range(4):
        speaker = ("ada", "ben")[turn % 2]
        for name in people:
            call.relay.set_published(name, {MICROPHONE: name == speaker})
        for step in range(90):
            for name, client in people.items():
                microphone, camera = (client.track(source) for source in (MICROPHONE, CAMERA))
                elapsed = loop.time() - begun
                for track in (microphone, camera):
                    # A report is of now; what leaves beside it was captured a little while ago.
                    now, earlier = (
                        origins[track] + round(at * track.clock_rate) & 0xFFFFFFFF
                        for at in (elapsed, elapsed - 0.05)
                    )
                    if step % 20 == 0:
                        info = SenderInfo(track.ssrc, ntp_of(loop.time()), now, 1, 1)
                        client.send_rtcp(sender_report(info))
                    track.timestamp = earlier
                client.send_audio(name.encode(), level=10)
                if step % 2:
                    # An encoder takes its time for a key frame; the old goes on meanwhile.
                    key = loop.time() - wanted[name] > 0.15
                    if key:
                        wanted[name] = float("inf")
                    client.send_frame(key=key, parts=(name.encode(),))
            await asyncio.sleep(0.02)
    told = [seat for to, seat in call.listener.seats if to == "cy" and seat.kind is SeatKind.SEAT]
    await call.close()
    assert [seat.participant_id for seat in told] == ["ada", "ben", "ada", "ben"]
    for mid, rate in zip(cy.seat(0), (48000, 90000), strict=True):
        stamps = [s.audio_timestamp if rate == 48000 else s.video_timestamp for s in told]
        shown: dict[int, list[int]] = {}
        for heard in cy.heard_on(mid):
            told_before = [
                index
                for index, stamp in enumerate(stamps)
                if stamp is not None and (heard.packet.timestamp - stamp) & 0xFFFFFFFF < 0x80000000
            ]
            # Whose frame it is follows from what was told and from nothing else.
            assert heard.content.decode() == told[told_before[-1]].participant_id
            shown.setdefault(told_before[-1], []).append(heard.packet.timestamp)
        assert len(shown) == 4
        for index, stamp in enumerate(stamps):
            assert stamp is not None
            # And the message does not name a moment long before the first such frame.
            assert (shown[index][0] - stamp) & 0xFFFFFFFF < 0.7 * rate


def test_a_frame_is_whose_the_seat_message_says() -> None:
    run_in_virtual_time(a_seat_changes_hands())


async def test_a_padding_probe_is_acknowledged_and_goes_no_further(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    track = ada.track(CAMERA)
    ada.send_frame(key=True, parts=(b"one",))
    for _ in range(3):
        probe = bytearray(track.packet(b"", ada._counter + 1, {}) + bytes(99) + b"\x64")
        probe[0] |= 0x20
        ada._counter += 1
        ada.send(ada.protect(bytes(probe)))
        track.step(0, 0)
    ada.send_frame(parts=(b"two",))
    await until(lambda: len(ben.heard_on(video)) == 2)
    one, two = ben.heard_on(video)
    assert (one.content, two.content) == (b"one", b"two")
    assert two.packet.sequence_number == one.packet.sequence_number + 1

    def acknowledged() -> set[int]:
        return {
            number
            for data in ada.raw_feedback
            for part in parts_of(memoryview(data))
            if (part.kind, part.form) == (205, 15)
            for number, at in arrivals_in(part.body)
            if at is not None
        }

    await until(lambda: acknowledged() >= set(range(1, 6)))
    # They are no loss either, neither asked for again nor reported.
    assert call.relay.transports["ada-1"].intake.layers[track.ssrc].received == 5


async def test_other_payload_types_and_sections_of_seats_are_dropped_and_counted(
    call: Call,
) -> None:
    ada = await call.join("ada", dialect=Dialect(signals_ssrcs=False))
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    microphone = ada.track(MICROPHONE)
    drops = call.relay.transports["ada-1"].intake.drops
    # H.264 was not taken for publishing, 77 never offered; a seat's section sends nothing.
    ada.send(ada.rtp(ada.track(CAMERA), b"\x65idr", payload_type=102))
    ada.send(ada.rtp(microphone, b"other", payload_type=77, ssrc=9))
    ada.send(ada.rtp(microphone, b"seat", mid=ada.seat(0)[0], ssrc=10))
    await until(lambda: drops.unknown_ssrc == 3)
    ada.send_audio(b"before")
    await until(lambda: ben.heard_on(audio))
    ada.send(ada.rtp(microphone, b"known", payload_type=77))
    await until(lambda: drops.payload_type == 1)
    microphone.sequence += 1
    ada.send_audio(b"after")
    await until(lambda: len(ben.heard_on(audio)) == 2)
    assert [h.content for h in ben.heard] == [b"before", b"after"]
    assert len(call.relay.transports["ada-1"].intake.layers) == 1


async def test_who_comes_later_waits_for_a_fresh_key_frame(call: Call) -> None:
    """There is no cache of key frames, whose age would be a step in the picture."""
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_frame(key=True, parts=(b"old",))
    await until(lambda: ben.heard)
    cy = await call.join("cy")
    slot = next(
        seat.index
        for to, seat in call.listener.seats
        if to == "cy" and seat.participant_id == "ada"
    )
    _, video = cy.seat(slot)
    ada.send_frame(parts=(b"delta",))
    await until(lambda: len(ben.heard) == 2)
    await until(lambda: ada.key_frame_requests)
    assert cy.heard == []
    ada.send_frame(key=True, parts=(b"new",))
    await until(lambda: cy.heard)
    assert [h.content for h in cy.heard_on(video)] == [b"new"]


async def test_a_repair_says_which_section_it_is_for(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    ada.send_frame(key=True)
    await until(lambda: ben.heard_on(video))
    nack(ben, ben.slots[video][0], [ben.heard_on(video)[0].packet.sequence_number])
    await until(lambda: ben.heard_on(video, repaired=True))
    repair = ben.heard_on(video, repaired=True)[0]
    assert repair.mid == video
    assert repair.packet.extensions.transport_sequence_number is not None


async def requests_for_key_frames() -> list[float]:
    """Ask four times within one window, the first being answered; return when Ada was asked."""
    loop = asyncio.get_running_loop()
    call = Call(clock=loop.time)
    await call.relay.open()
    ada, ben = await call.join("ada"), await call.join("ben")
    await call.join("cy")
    ada.send_frame(key=True)
    await asyncio.sleep(2)
    before, begun = len(ada.key_frame_requests), loop.time()
    pli = b"\x81\xce\x00\x02" + bytes(4) + ben.slots[ben.seat(0)[1]][0].to_bytes(4, "big")
    ben.send_rtcp(pli)
    await asyncio.sleep(0.05)
    ada.send_frame(key=True)
    for _ in range(3):
        await asyncio.sleep(0.1)
        ben.send_rtcp(pli)
    await asyncio.sleep(0.2)
    ada.send_frame(key=True)
    await asyncio.sleep(2)
    asked = [at - begun for _, at in ada.key_frame_requests[before:]]
    await call.close()
    return asked


def test_a_request_within_the_window_is_sent_at_its_end() -> None:
    first, second = run_in_virtual_time(requests_for_key_frames())
    assert first < 0.05
    # A tick of the relay may pass beyond the half second.
    assert 0.5 <= second - first < 0.6


async def test_a_full_intra_request_is_a_request_for_a_key_frame(call: Call) -> None:
    """RFC 5104 §4.3.1; it names its stream in its own part, and the packet none."""
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_frame(key=True)
    _, video = ben.seat(0)
    await until(lambda: ben.heard_on(video))
    layer = next(iter(call.relay.transports["ada-1"].intake.layers.values()))
    await until(lambda: not layer.key_wanted)
    before = len(ada.key_frame_requests)
    ssrc = ben.slots[video][0].to_bytes(4, "big")
    ben.send_rtcp(b"\x84\xce\x00\x04" + bytes(8) + ssrc + bytes([1, 0, 0, 0]))
    await until(lambda: len(ada.key_frame_requests) > before)


class Layers:
    """Ada's camera in two layers, of which one arrives a quarter of a second later."""

    def __init__(self, ada: CraftedClient, later: str, *, reports: bool) -> None:
        self.ada = ada
        self.later = later
        self.reports = reports
        self.answers = {"q"}
        """Layers whose key frames come when they are asked for."""
        self._wanted = {"q": True, "h": True}
        self._rids = {ada.track(CAMERA, rid).ssrc: rid for rid in ("q", "h")}
        self._origins = {rid: ada.track(CAMERA, rid).timestamp for rid in ("q", "h")}
        ada.on_key_frame_request = lambda ssrc: self._wanted.update({self._rids[ssrc]: True})
        self._began = asyncio.get_running_loop().time()
        self._tasks = [asyncio.create_task(self._send(rid)) for rid in ("q", "h")]

    async def _send(self, rid: str) -> None:
        loop = asyncio.get_running_loop()
        track = self.ada.track(CAMERA, rid)
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


async def layers_of_unlike_delay(later: str, *, reports: bool) -> list[tuple[int, str, int]]:
    """Switch up and down; return (picture, layer, time stamp) as Ben got them."""
    call = Call(clock=asyncio.get_running_loop().time)
    await call.relay.open()
    ada, ben = await call.join("ada", rids=("q", "h")), await call.join("ben")
    call.relay.set_view("ben", {0: (320, 180)}, {})
    layers = Layers(ada, later, reports=reports)
    await asyncio.sleep(2)
    # The larger is wanted, but its key frame does not come for a while: the old one goes on.
    call.relay.set_view("ben", {0: (640, 360)}, {})
    await asyncio.sleep(1.5)
    before = ben.heard_on(ben.seat(0)[1])[-1]
    assert before.content.endswith(b"q")
    assert before.at > asyncio.get_running_loop().time() - 0.1
    layers.answers.add("h")
    await asyncio.sleep(2)
    call.relay.set_view("ben", {0: (320, 180)}, {})
    await asyncio.sleep(2)
    await layers.stop()
    await call.close()
    found = []
    for heard in ben.heard_on(ben.seat(0)[1]):
        number, rid = heard.content.rsplit(b"/", 2)[-2:]
        found.append((int(number), rid.decode(), heard.packet.timestamp))
    assert [rid for rid, _ in itertools.groupby(rid for _, rid, _ in found)] == ["q", "h", "q"]
    return found


@pytest.mark.parametrize("later", ["q", "h"])
def test_layers_are_put_where_the_same_picture_would_stand(later: str) -> None:
    """By both layers' sender reports: a moment has one time stamp, whichever layer shows it."""
    found = run_in_virtual_time(layers_of_unlike_delay(later, reports=True))
    ahead = 0
    for (before, old, stamp), (picture, rid, following) in itertools.pairwise(found):
        step = (following - stamp) & 0xFFFFFFFF
        if old == rid or old == later:
            ahead += picture - before > 3
            assert abs(step - 3000 * (picture - before)) < 90, (before, old, picture, rid)
        else:
            # What was seen already is shown again, and the time line does not go back for it.
            assert picture < before
            assert step == 1
    assert ahead == 1


@pytest.mark.parametrize("later", ["q", "h"])
def test_without_reports_layers_follow_by_arrival_and_always_forward(later: str) -> None:
    found = run_in_virtual_time(layers_of_unlike_delay(later, reports=False))
    for (_, _, before), (_, _, after) in itertools.pairwise(found):
        assert 0 < (after - before) & 0xFFFFFFFF < 9000
