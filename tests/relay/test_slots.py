"""What a slot shows and what it leaves out: whose frame, and from which moment."""

from __future__ import annotations

import asyncio
import itertools

from actors.relay import PublishSource, SeatKind
from actors.relay.wire.rtcp import (
    SenderInfo,
    negative_acknowledgement,
    ntp_of,
    parts_of,
    sender_report,
)
from actors.relay.wire.transport_feedback import ArrivalReader
from benchmarks.media.description import Dialect
from tests.patience import until

from .conftest import Call, call_in_virtual_time

CAMERA = PublishSource.CAMERA
MICROPHONE = PublishSource.MICROPHONE


async def a_seat_changes_hands(call: Call) -> None:
    """Ada speaks, then Ben, in Cy's one seat; both send all the time, 50 ms after the capture."""
    loop = asyncio.get_running_loop()
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
                    track.timestamp = earlier + step & 0xFFFFFFFF
                client.send_audio(name.encode(), level=10)
                if step % 2:
                    # An encoder takes its time for a key frame; the old goes on meanwhile.
                    key = loop.time() - wanted[name] > 0.15
                    if key:
                        wanted[name] = float("inf")
                    client.send_frame(key=key, parts=(name.encode(),))
            await asyncio.sleep(0.02)
    told = [seat for to, seat in call.listener.seats if to == "cy" and seat.kind is SeatKind.SEAT]
    assert [seat.participant_id for seat in told] == ["ada", "ben", "ada", "ben"]
    assert all(one.turn != other.turn for one, other in itertools.pairwise(told))
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
            # A picture says so by itself, too, to who has not been told yet.
            if rate == 90000:
                assert heard.packet.timestamp & 7 == told[told_before[-1]].turn
            shown.setdefault(told_before[-1], []).append(heard.packet.timestamp)
        assert len(shown) == 4
        for index, stamp in enumerate(stamps):
            assert stamp is not None
            # And the message does not name a moment long before the first such frame.
            assert (shown[index][0] - stamp) & 0xFFFFFFFF < 0.7 * rate


def test_a_frame_is_whose_the_seat_message_says() -> None:
    call_in_virtual_time(a_seat_changes_hands)


async def a_late_picture_claims_to_be_of_later(call: Call) -> None:
    """Ada's second packet comes after her third and says that it is 0.9 s newer; then she goes."""
    ada, cy = await call.join("ada"), await call.join("cy", publish=(), seats=1)
    ben = await call.join("ben")
    _, video = cy.seat(0)
    track = ada.track(CAMERA)
    ada.send_frame(key=True, parts=(b"one",))
    await until(lambda: len(cy.heard_on(video)) == 1)
    kept = track.timestamp
    track.timestamp = kept + 81_000 & 0xFFFFFFFF
    late = ada.rtp(track, track.vp8_payload(b"late", key=False, first=True), marker=True)
    track.step(0, 0)
    track.timestamp = kept
    ada.send_frame(parts=(b"three",))
    ada.send(late)
    await until(lambda: len(cy.heard_on(video)) == 3)
    call.relay.remove("ada")
    while len(cy.heard_on(video)) == 3:
        ben.send_frame(key=True, parts=(b"ben",))
        await asyncio.sleep(0.02)
    *hers, his = cy.heard_on(video)
    assert [heard.content for heard in hers] == [b"one", b"three", b"late"]
    for heard in hers:
        assert 0 < (his.packet.timestamp - heard.packet.timestamp & 0xFFFFFFFF) < 0x80000000


def test_time_goes_on_behind_a_late_picture_that_claims_to_be_of_later() -> None:
    call_in_virtual_time(a_late_picture_claims_to_be_of_later)


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
            for number, at in ArrivalReader().read(part.body)
            if at is not None
        }

    await until(lambda: acknowledged() >= set(range(1, 6)))
    # They are no loss either, neither asked for again nor reported.
    assert call.relay.transports["ada-1"].intake.layers[track.ssrc].received == 5


async def test_padding_that_comes_late_leaves_no_hole(call: Call) -> None:
    """A receiver would ask for it eight times, and wait for it where there are no picture ids."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    track = ada.track(CAMERA)
    ada.send_frame(key=True, parts=(b"one",))
    padding = bytearray(track.packet(b"", 1000, {}) + bytes(99) + b"\x64")
    padding[0] |= 0x20
    track.step(0, 0)
    ada.send_frame(parts=(b"two",))
    await until(lambda: len(ben.heard_on(video)) == 2)
    ada.send(ada.protect(bytes(padding)))
    await until(lambda: len(ben.heard_on(video)) == 3)
    one, two, filling = (heard.packet for heard in ben.heard_on(video))
    assert filling.payload == b""
    assert filling.sequence_number == one.sequence_number + 1 == two.sequence_number - 1
    # Whoever misses that one is sent it again, and no key frame.
    ben.send_rtcp(negative_acknowledgement(1, ben.slots[video][0], [filling.sequence_number]))
    await until(lambda: ben.heard_on(video, repaired=True))
    (repair,) = ben.heard_on(video, repaired=True)
    assert repair.packet.payload == filling.sequence_number.to_bytes(2, "big")
    assert len(ada.key_frame_requests) == 1


async def test_a_picture_that_cannot_be_read_is_counted_and_leaves_no_hole(call: Call) -> None:
    """A hole would be asked for again, then a key frame of a layer that has them all."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    track = ada.track(CAMERA)
    ada.send_frame(key=True, parts=(b"one",))
    # A descriptor that promises more than there is, and one with nothing behind it.
    for payload in (b"\x90\xc0\x80", b"\x10"):
        ada.send(ada.rtp(track, payload))
        track.step(0, len(payload))
    ada.send_frame(parts=(b"two",))
    await until(lambda: len(ben.heard_on(video)) == 2)
    one, two = ben.heard_on(video)
    assert (one.content, two.content) == (b"one", b"two")
    assert two.packet.sequence_number == one.packet.sequence_number + 1 & 0xFFFF
    assert call.relay.transports["ada-1"].intake.drops.malformed == 2


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


async def requests_for_key_frames(call: Call) -> list[float]:
    """Ask four times within one window, the first being answered; return when Ada was asked."""
    loop = asyncio.get_running_loop()
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
    return asked


def test_a_request_within_the_window_is_sent_at_its_end() -> None:
    first, second = call_in_virtual_time(requests_for_key_frames)
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


async def test_picture_ids_and_levels_wrap_on_the_way_out_as_on_the_way_in(call: Call) -> None:
    """In whole pictures, and packet by packet where some were lost."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    numbering = call.relay.transports["ben-1"].slots_by_ssrc[ben.slots[video][0]].numbering
    numbering.last_picture, numbering.last_level = 0x7FFC, 0xFC
    ada.send_frame(key=True, parts=(b"a", b"b"))
    for number in range(5):
        ada.send_frame(parts=(b"a", b"b", b"c"), lose=(1,) if number in (1, 3) else ())
    await until(lambda: len(ben.heard_on(video)) == 15)
    pictures = [heard.picture for heard in ben.heard_on(video)]
    levels = [heard.packet.payload[4] for heard in ben.heard_on(video)]
    counts = (2, 3, 2, 3, 2, 3)
    expected = [index for index, count in enumerate(counts) for _ in range(count)]
    assert pictures == [0x7FFD + index & 0x7FFF for index in expected]
    assert levels == [0xFD + index & 0xFF for index in expected]
