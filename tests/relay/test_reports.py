"""RTCP is terminated: what the relay says about its slots and publications (RFC 3550 §6)."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from aiortc.rtp import RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket

from actors.relay import PublishSource, RelayConfig, SeatKind
from actors.relay.wire.rtcp import (
    NACK,
    PLI,
    PSFB,
    RR,
    RTPFB,
    SDES,
    SR,
    TRANSPORT_CC,
    Report,
    SenderInfo,
    ntp_of,
    parts_of,
    receiver_report,
    seconds_of,
    sender_report,
    source_description,
)
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, StartCall, call_in_virtual_time


def sender_reports(client: CraftedClient, ssrc: int) -> list[RtcpSrPacket]:
    return [r for r in client.reports if isinstance(r, RtcpSrPacket) and r.ssrc == ssrc]


def receiver_reports(client: CraftedClient, ssrc: int) -> list[RtcpRrPacket]:
    return [
        report
        for report in client.reports
        if isinstance(report, RtcpRrPacket) and any(b.ssrc == ssrc for b in report.reports)
    ]


async def test_every_slot_reports_with_a_cname_at_once_and_again(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(report_interval=0.2))
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, video = ben.seat(0)
    for _ in range(5):
        ada.send_audio(b"12345678")
    ada.send_frame(key=True)
    voice, picture = ben.slots[audio][0], ben.slots[video][0]
    await until(lambda: len(sender_reports(ben, voice)) >= 2 and sender_reports(ben, picture))
    info = sender_reports(ben, voice)[-1].sender_info
    assert info.packet_count == 5
    assert info.octet_count == 40
    cnames = {
        chunk.ssrc: dict(chunk.items).get(1)
        for report in ben.reports
        if isinstance(report, RtcpSdesPacket)
        for chunk in report.chunks
    }
    assert cnames[voice] == cnames[picture] is not None


async def test_both_tracks_of_a_person_are_put_on_one_clock(start_call: StartCall) -> None:
    """The publisher's clock is an hour off, and its tracks start at unrelated time stamps."""
    call = await start_call(RelayConfig(report_interval=0.1))
    ada = await call.join("ada")
    ben = await call.join("ben")
    ada.send_audio()
    ada.send_frame(key=True)
    await until(lambda: len(ben.heard) == 2)
    moment = time.time() + 3600
    voice, camera = ada.track(PublishSource.MICROPHONE), ada.track(PublishSource.CAMERA)
    for track in (voice, camera):
        # Captured at the same moment: what each sends next.
        info = SenderInfo(track.ssrc, ntp_of(moment), track.timestamp, 1, 1)
        ada.send_rtcp(sender_report(info))
    layers = call.relay.transports["ada-1"].intake.layers
    await until(lambda: all(layer.clock.moment_of(0) is not None for layer in layers.values()))
    ben.reports.clear()
    audio, video = (ben.slots[mid][0] for mid in ben.seat(0))
    ada.send_audio()
    ada.send_frame()
    await until(lambda: sender_reports(ben, audio) and sender_reports(ben, video))
    await until(lambda: len(ben.heard) == 4)
    shown = []
    for mid, ssrc, rate in zip(ben.seat(0), (audio, video), (48000, 90000), strict=True):
        report = sender_reports(ben, ssrc)[-1].sender_info
        packet = ben.heard_on(mid)[-1].packet
        ticks = (packet.timestamp - report.rtp_timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        shown.append(seconds_of(report.ntp_timestamp) + ticks / rate)
    # Both were captured at one moment, so a browser plays them at one moment.
    assert abs(shown[0] - shown[1]) < 0.002
    # On the relay's clock, not the publisher's.
    assert abs(shown[0] - time.time()) < 60


async def test_a_publisher_hears_of_the_loss_on_its_way_in(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(report_interval=0.2))
    ada = await call.join("ada")
    for index in range(40):
        ada.send_audio(deliver=index % 4 != 3)
    track = ada.track(PublishSource.MICROPHONE)
    await until(lambda: receiver_reports(ada, track.ssrc))
    block = receiver_reports(ada, track.ssrc)[0].reports[0]
    assert 8 <= block.packets_lost <= 10
    # Smoothed, because the fraction decides how much FEC is sent.
    assert 0 < block.fraction_lost <= 51
    assert block.highest_sequence & 0xFFFF == track.sequence - 2 & 0xFFFF


async def test_audio_reports_carry_the_worst_listeners_loss(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(report_interval=0.1))
    ada = await call.join("ada")
    ben = await call.join("ben")
    track = ada.track(PublishSource.MICROPHONE)
    ada.send_audio()
    await until(lambda: ben.heard)
    slot = ben.slots[ben.seat(0)[0]][0]
    ben.send_rtcp(receiver_report(9, [Report(slot, 200, 0, 0, 0, 0, 0)]))

    def reported() -> int:
        reports = receiver_reports(ada, track.ssrc)
        return reports[-1].reports[0].fraction_lost if reports else 0

    # Eighty percent lost at one listener; a fifth is the most that is passed on.
    await until(lambda: reported() == 51)


async def reported_with_two_listeners(call: Call) -> list[int]:
    """Let one listener lose much and another little; return what Ada is told, in order."""
    ada = await call.join("ada")
    listeners = [(await call.join("ben"), 40), (await call.join("cy"), 8)]
    ada.send_audio()
    await asyncio.sleep(0.3)
    for client, fraction in listeners:
        slot = next(ssrc for mid, (ssrc, _) in client.slots.items() if client.heard_on(mid))
        client.send_rtcp(receiver_report(9, [Report(slot, fraction, 0, 0, 0, 0, 0)]))
    await asyncio.sleep(1.5)
    track = ada.track(PublishSource.MICROPHONE)
    told = [report.reports[0].fraction_lost for report in receiver_reports(ada, track.ssrc)]
    return told


def test_audio_reports_follow_the_worst_listener_by_halves() -> None:
    """Smoothed: one bad second does not make a sender double what it sends."""
    told = call_in_virtual_time(reported_with_two_listeners, RelayConfig(report_interval=0.1))
    assert [value for value, _ in itertools.groupby(told)][:4] == [0, 20, 30, 35]
    assert told[-1] == 40


async def test_round_trips_are_measured_from_the_slots_reports(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(report_interval=0.1))
    ada = await call.join("ada")
    ben = await call.join("ben")
    ada.send_audio()
    ssrc = ben.slots[ben.seat(0)[0]][0]
    await until(lambda: sender_reports(ben, ssrc))
    compact = sender_reports(ben, ssrc)[-1].sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
    ben.send_rtcp(receiver_report(9, [Report(ssrc, 0, 0, 0, 0, compact, 0)]))
    slot = call.relay.transports["ben-1"].slots_by_ssrc[ssrc]
    await until(lambda: slot.round_trip is not None)
    assert slot.round_trip is not None
    assert 0 <= slot.round_trip < 5


async def test_the_publishers_packets_are_acknowledged_transport_wide(
    start_call: StartCall,
) -> None:
    call = await start_call()
    ada = await call.join("ada")
    for _ in range(10):
        ada.send_audio()
    await until(lambda: any(data[:2] in (b"\x8f\xcd", b"\xaf\xcd") for data in ada.raw_feedback))


async def test_rtcp_ends_at_the_relay(start_call: StartCall) -> None:
    """What a publisher says of itself reaches nobody: names, goodbyes, messages of its own."""
    call = await start_call(RelayConfig(report_interval=0.1))
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_audio()
    await until(lambda: ben.heard)
    track = ada.track(PublishSource.MICROPHONE)
    own = track.ssrc.to_bytes(4, "big")
    report = sender_report(SenderInfo(track.ssrc, ntp_of(1.0), track.timestamp, 1, 1))
    name = source_description(track.ssrc, "ada@her-own-machine")
    message, goodbye = b"\x80\xcc\x00\x02" + own + b"name", b"\x81\xcb\x00\x01" + own
    ada.send_rtcp(report + name + message + goodbye)
    slots = [ssrc for pair in ben.slots.values() for ssrc in pair]
    layer = next(iter(call.relay.transports["ada-1"].intake.layers.values()))
    await until(lambda: layer.clock.moment_of(0) is not None)
    seen = len(sender_reports(ben, ben.slots[ben.seat(0)[0]][0]))
    await until(lambda: len(sender_reports(ben, ben.slots[ben.seat(0)[0]][0])) > seen + 1)
    assert own not in b"".join(ben.raw_feedback)
    assert b"ada@" not in b"".join(ben.raw_feedback)
    reported = {part.kind for data in ben.raw_feedback for part in parts_of(memoryview(data))}
    assert reported <= {SR, RR, SDES, RTPFB, PSFB}
    assert {r.ssrc for r in ben.reports if isinstance(r, RtcpSrPacket)} <= set(slots)
    # Nor is anybody gone because of it.
    ada.send_audio(b"still here")
    await until(lambda: ben.heard[-1].content == b"still here")


async def reports_after_a_switch(call: Call) -> list[float]:
    """Let Ben's seat change hands between two reports; return when its reports came."""
    loop = asyncio.get_running_loop()
    people = {name: await call.join(name) for name in ("ada", "cy")}
    ben = await call.join("ben", publish=(), seats=1)
    times: list[float] = []
    ssrc = ben.slots[ben.seat(0)[0]][0]
    for step in range(130):
        if step == 100:
            call.relay.remove("ada")
            switched = loop.time()
        for name, client in people.items():
            if name == "cy" or step < 100:
                client.send_audio()
        await asyncio.sleep(0.02)
        if len(sender_reports(ben, ssrc)) > len(times):
            times.append(loop.time())
    return [at - switched for at in times]


def test_a_slot_reports_every_second_and_at_once_after_a_switch() -> None:
    times = call_in_virtual_time(reports_after_a_switch)
    before = [at for at in times if at < 0]
    assert len(before) >= 2
    # A look of this test is 20 ms.
    assert all(later - earlier < 1.021 for earlier, later in itertools.pairwise(before))
    assert before[-1] < -0.2, "the next one would not have been due by itself"
    # One tick of the relay, and a look of this test.
    assert min(at for at in times if at > 0) < 0.1


DUE = {(RTPFB, NACK), (RTPFB, TRANSPORT_CC), (PSFB, PLI)}


def kinds_told(client: CraftedClient) -> set[tuple[int, int]]:
    """Return the kinds, with their forms, of all parts of what the relay told this client."""
    return {
        (part.kind, part.form)
        for data in client.raw_feedback
        for part in parts_of(memoryview(data))
    }


async def test_without_reduced_size_every_compound_begins_with_a_report_and_a_name(
    start_call: StartCall,
) -> None:
    """RFC 4585 §3.1; where RFC 5506 was agreed on, a request may stand alone."""
    call = await start_call(RelayConfig(report_interval=0.1))
    begins: dict[str, set[tuple[int, ...]]] = {}
    for name in ("ada", "ben"):
        client = CraftedClient(call.relay, name)
        call.clients.append(client)
        if name == "ada":
            offered = client.offer().replace("a=rtcp-rsize\r\n", "")
            client.offer = lambda offered=offered: offered  # type: ignore[method-assign, misc]
        await client.connect()
    for client in call.clients:
        # A request, transport-wide feedback and a repair are due.
        client.send_frame(key=True, parts=(b"one", b"two", b"three"), lose=(1,))
        await until(lambda client=client: DUE <= kinds_told(client))  # type: ignore[misc]
        begins[client.participant_id] = {
            tuple(part.kind for part in parts_of(memoryview(data)))[:2]
            for data in client.raw_feedback
        }
    assert begins["ada"] <= {(SR, SDES), (RR, SDES)}
    assert (RTPFB,) in begins["ben"]


async def clocks_of_a_seat(call: Call) -> list[float]:
    """Let two people with unlike delays sit in one seat by turns; return its clock's readings."""
    loop = asyncio.get_running_loop()
    people = {name: await call.join(name) for name in ("ada", "ben")}
    delays = {"ada": (0.02, 0.04), "ben": (0.06, 0.19)}
    sources = (PublishSource.MICROPHONE, PublishSource.CAMERA)

    wanted: dict[int, float] = {}
    for client in people.values():
        client.on_key_frame_request = lambda ssrc: wanted.update({ssrc: loop.time()})

    async def publish(name: str, source: PublishSource, delay: float) -> None:
        client = people[name]
        track = client.track(source)
        origin, began = track.timestamp, loop.time()
        step = 0.02 if source is PublishSource.MICROPHONE else 1 / 30
        for index in itertools.count():
            await asyncio.sleep(max(0.0, began + index * step + delay - loop.time()))
            track.timestamp = origin + round(index * step * track.clock_rate) & 0xFFFFFFFF
            if source is PublishSource.MICROPHONE:
                client.send_audio(level=10)
            else:
                # An encoder makes a key frame of what it captures after the request.
                key = began + index * step >= wanted.get(track.ssrc, began)
                if key:
                    wanted[track.ssrc] = float("inf")
                client.send_frame(key=key)
            if index % 10 == 0:
                captured = SenderInfo(
                    track.ssrc,
                    ntp_of(began + index * step),
                    origin + round(index * step * track.clock_rate) & 0xFFFFFFFF,
                    1,
                    1,
                )
                client.send_rtcp(sender_report(captured))

    tasks = []
    for name in people:
        tasks += [
            asyncio.create_task(publish(name, s, d))
            for s, d in zip(sources, delays[name], strict=True)
        ]
    # Whoever comes finds people whose clocks are known.
    await asyncio.sleep(0.6)
    cy = await call.join("cy", publish=(), seats=1)
    for turn in range(6):
        for name in people:
            speaks = name == ("ada", "ben")[turn % 2]
            call.relay.set_published(name, {PublishSource.MICROPHONE: speaks})
        await asyncio.sleep(1.5)
        assert call.listener.occupants("cy")[SeatKind.SEAT, 0] == ("ada", "ben")[turn % 2]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    readings = []
    for mid, rate in zip(cy.seat(0), (48000, 90000), strict=True):
        packets = cy.heard_on(mid)
        assert len(packets) > 200
        first = sender_reports(cy, cy.slots[mid][0])[0].sender_info
        for report_ in sender_reports(cy, cy.slots[mid][0]):
            info = report_.sender_info
            ticks = (info.rtp_timestamp - first.rtp_timestamp) & 0xFFFFFFFF
            passed = seconds_of(info.ntp_timestamp) - seconds_of(first.ntp_timestamp)
            readings.append(ticks / rate - passed)
        stamps = [h.packet.timestamp for h in packets]
        assert all((b - a) & 0xFFFFFFFF < 0x80000000 for a, b in itertools.pairwise(stamps))
    return readings


def test_a_seats_clock_does_not_bend_when_somebody_else_sits_down() -> None:
    """Browsers fit a line through a slot's reports; a step in it would be a step in lip sync."""
    readings = call_in_virtual_time(clocks_of_a_seat, RelayConfig(report_interval=0.1))
    assert max(map(abs, readings)) < 0.005, readings


async def test_one_report_is_one_reading_of_the_line_however_many_slots_it_names(
    call: Call,
) -> None:
    people = [await call.join(name) for name in ("ada", "ben", "cy")]
    dora = await call.join("dora", publish=())
    for client in people:
        client.send_frame(key=True)
    mids = [dora.seat(index)[1] for index in range(3)]
    await until(lambda: all(dora.heard_on(mid) for mid in mids))
    estimate = call.relay.transports["dora-1"].estimate
    before = estimate.bitrate
    lost = [Report(dora.slots[mid][0], 64, 10, 100, 0, 0, 0) for mid in mids]
    dora.send_rtcp(receiver_report(1, lost))
    await until(lambda: estimate.bitrate < before)
    assert estimate.bitrate == pytest.approx(before * (1 - 0.5 * 0.25))
