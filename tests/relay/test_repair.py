"""Loss repaired in both directions, within bounds (RFC 4585, RFC 4588)."""

from __future__ import annotations

import asyncio
import random
from functools import partial

from aiortc.rtp import RtcpRtpfbPacket

from actors.relay import PublishSource
from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.missing import Missing
from actors.relay.wire.rtcp import nacked, negative_acknowledgement, parts_of
from actors.relay.wire.rtp import Body
from benchmarks.media.description import Dialect
from benchmarks.media.packet import AUDIO_TICKS
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, call_in_virtual_time
from .tap import either


def nack(client: CraftedClient, ssrc: int, sequences: list[int]) -> None:
    client.send_rtcp(negative_acknowledgement(1, ssrc, sequences))


def asked_for(client: CraftedClient) -> set[int]:
    """What the relay asked this publisher to send again, as aiortc reads it."""
    return {
        number
        for report in client.reports
        if isinstance(report, RtcpRtpfbPacket) and report.fmt == 1
        for number in report.lost
    }


async def test_a_subscriber_gets_what_it_missed_as_rtx(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    _, video = ben.seat(0)
    ada.send_frame(key=True, parts=(b"one", b"two", b"three"))
    await until(lambda: len(ben.heard_on(video)) == 3)
    missed = ben.heard_on(video)[1]
    ssrc, _ = ben.slots[video]
    nack(ben, ssrc, [missed.packet.sequence_number])
    await until(lambda: ben.heard_on(video, repaired=True))
    repair = ben.heard_on(video, repaired=True)[0].packet
    assert repair.payload_type == ben.dialect.vp8_rtx
    assert repair.payload[:2] == missed.packet.sequence_number.to_bytes(2, "big")
    assert repair.payload[2:] == missed.packet.payload
    assert repair.timestamp == missed.packet.timestamp
    assert repair.marker == missed.packet.marker


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


async def test_a_packet_is_not_resent_within_a_round_trip(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    _, video = ben.seat(0)
    ada.send_frame(key=True, parts=(b"one", b"two"))
    await until(lambda: len(ben.heard_on(video)) == 2)
    slot = call.relay.transports["ben-1"].slots_by_ssrc[ben.slots[video][0]]
    slot.round_trip = 30.0
    first, second = (h.packet.sequence_number for h in ben.heard_on(video))
    for _ in range(5):
        nack(ben, slot.ssrc, [first])
    nack(ben, slot.ssrc, [second])
    await until(lambda: len(ben.heard_on(video, repaired=True)) == 2)
    numbers = [h.packet.payload[:2] for h in ben.heard_on(video, repaired=True)]
    assert numbers == [first.to_bytes(2, "big"), second.to_bytes(2, "big")]


async def test_a_publisher_is_asked_and_the_repair_fills_the_hole(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    _, video = ben.seat(0)
    camera = ada.track(PublishSource.CAMERA)
    stamp = camera.timestamp
    ada.send_frame(key=True, parts=(b"one", b"two", b"three"), lose=(1,))
    lost = camera.sequence - 2 & 0xFFFF
    await until(lambda: asked_for(ada) == {lost})
    assert len(ben.heard_on(video)) == 2
    payload = camera.vp8_payload(b"two", key=False, first=False)
    ada.resend(camera, lost, stamp, payload)
    await until(lambda: len(ben.heard_on(video)) == 3)
    heard = sorted(ben.heard_on(video), key=lambda h: h.packet.sequence_number)
    assert [h.content for h in heard] == [b"one", b"two", b"three"]
    # A second copy is a bandwidth probe; it goes no further, and nothing is protected twice.
    ada.resend(camera, lost, stamp, payload)
    ada.send_frame()
    await until(lambda: len(ben.heard_on(video)) == 4)
    assert call.relay.transports["ben-1"].outlet.refused_sends == 0


async def a_key_frame_that_comes_as_a_repair(call: Call) -> None:
    """Its first packet was lost, what followed has gone by: it is no beginning for who waits."""
    ada, ben = await call.join("ada"), await call.join("ben")
    camera = ada.track(PublishSource.CAMERA)
    ada.send_frame(key=True)
    await until(lambda: ben.heard)
    asked = len(ada.key_frame_requests)
    cy = await call.join("cy")
    await until(lambda: len(ada.key_frame_requests) > asked)
    seats = call.listener.occupants("cy")
    _, video = cy.seat(next(i for (_, i), who in seats.items() if who == "ada"))
    stamp = camera.timestamp
    ada.send_frame(key=True, parts=(b"one", b"two"), lose=(0,))
    lost = camera.sequence - 2 & 0xFFFF
    await until(lambda: asked_for(ada) == {lost})
    layer = await _layer(call)
    ada.resend(camera, lost, stamp, camera.vp8_payload(b"one", key=True, first=True))
    await until(lambda: layer.keys_seen == 2)
    asked = len(ada.key_frame_requests)
    await until(lambda: len(ada.key_frame_requests) > asked, within=1.0)
    assert cy.heard_on(video) == []
    ada.send_frame(key=True, parts=(b"new",))
    await until(lambda: cy.heard_on(video), within=1.0)


def test_a_key_frame_that_came_late_is_asked_for_again() -> None:
    call_in_virtual_time(a_key_frame_that_comes_as_a_repair)


async def missed_for_too_long(call: Call, dialect: Dialect | None) -> list[int]:
    """Miss a packet for half a second, for longer than it is kept, and beyond the next key frame.

    Returns how many key frames Ada was asked for each time.
    """
    ada, ben = await call.join("ada"), await call.join("ben", dialect=dialect)
    _, video = ben.seat(0)
    ada.send_frame(key=True)
    await asyncio.sleep(2)
    ada.send_frame()
    await until(lambda: len(ben.heard_on(video)) == 2)
    missed = ben.heard_on(video)[1].packet.sequence_number
    asked = []
    for wait in (0.5, 0.6, 0.0):
        await asyncio.sleep(wait)
        before = len(ada.key_frame_requests)
        nack(ben, ben.slots[video][0], [missed])
        await asyncio.sleep(0.1)
        asked.append(len(ada.key_frame_requests) - before)
        if asked[-1]:
            ada.send_frame(key=True)
            await asyncio.sleep(1)
    return asked


@either
def test_what_cannot_be_repaired_any_more_asks_for_a_key_frame(dialect: Dialect | None) -> None:
    """A browser whose requests find no answer shows a still picture for three seconds."""
    asked = call_in_virtual_time(partial(missed_for_too_long, dialect=dialect))
    assert asked == [0, 1, 0]


async def missed_by_all(call: Call) -> list[int]:
    """Lose a packet on the way in; return the key frames asked for while and after it may come."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    ada.send_frame(key=True)
    await asyncio.sleep(2)
    ada.send_frame(parts=(b"one", b"two", b"three"), lose=(1,))
    await until(lambda: len(ben.heard_on(video)) == 3)
    hole = ben.heard_on(video)[1].packet.sequence_number + 1
    asked = []
    for wait in (0.1, 1.0):
        await asyncio.sleep(wait)
        before = len(ada.key_frame_requests)
        nack(ben, ben.slots[video][0], [hole])
        await asyncio.sleep(0.1)
        asked.append(len(ada.key_frame_requests) - before)
    return asked


def test_what_never_came_in_asks_for_a_key_frame_once_it_is_given_up() -> None:
    assert call_in_virtual_time(missed_by_all) == [0, 1]


async def requests_for_what_was_only_late(call: Call) -> int:
    """Let a packet arrive behind its follower; return how often it was asked for."""
    ada, ben = await call.join("ada"), await call.join("ben")
    camera = ada.track(PublishSource.CAMERA)
    ada.send_frame(key=True)
    late = ada.rtp(camera, camera.vp8_payload(b"late", key=False, first=True), marker=True)
    camera.step(3000, 4)
    ada.send_frame()
    await asyncio.sleep(0.02)
    ada.send(late)
    await asyncio.sleep(1)
    contents = [h.content for h in ben.heard_on(ben.seat(0)[1])]
    asked = [r for r in ada.reports if isinstance(r, RtcpRtpfbPacket) and r.fmt == 1]
    assert b"late" in contents
    return len(asked)


def test_what_was_only_late_is_not_asked_for_again() -> None:
    assert call_in_virtual_time(requests_for_what_was_only_late) == 1


async def test_a_repair_that_never_comes_is_asked_for_a_few_times_only(call: Call) -> None:
    ada = await call.join("ada")
    await call.join("ben")
    ada.send_frame(key=True, parts=(b"one", b"two", b"three"), lose=(1,))
    layer = await _layer(call)
    await until(lambda: layer.missing is not None and len(layer.missing) == 1)
    await until(lambda: layer.missing is not None and len(layer.missing) == 0)
    asked = [r for r in ada.reports if isinstance(r, RtcpRtpfbPacket) and r.fmt == 1]
    assert 2 <= len(asked) <= 12


async def _layer(call: Call) -> Layer:
    intake = call.relay.transports["ada-1"].intake
    await until(lambda: intake.layers)
    return next(iter(intake.layers.values()))


async def test_a_repaired_voice_is_no_shout(call: Call) -> None:
    """Its level is not read, so that it makes no speaker of who is silent."""
    ada = await call.join("ada", dialect=Dialect(opus_feedback=("transport-cc", "nack")))
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    track = ada.track(PublishSource.MICROPHONE)
    lost, stamp = track.sequence + 1 & 0xFFFF, track.timestamp + AUDIO_TICKS & 0xFFFFFFFF
    for content in (b"one", b"lost", b"three"):
        ada.send_audio(content, level=100, deliver=content != b"lost")
    await until(lambda: len(ben.heard_on(audio)) == 2)
    layer = await _layer(call)
    now = asyncio.get_running_loop().time()
    before = layer.publication.loudness.at(now)
    layer.repair(memoryview(b"lost"), Body(0, 0, False, 0, 4), lost, stamp, 0, now)
    assert 0 < layer.publication.loudness.at(now) <= before
    # It leaves with what comes next.
    ada.send_audio(b"four", level=100)
    await until(lambda: len(ben.heard_on(audio)) == 4)
    levels = {each.content: each.packet.extensions.audio_level for each in ben.heard_on(audio)}
    assert levels[b"lost"] == (False, 127)
    assert levels[b"four"] == (False, 100)


async def test_a_storm_of_requests_is_bounded_and_costs_others_nothing(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    cy = await call.join("cy")
    _, bens = ben.seat(0)
    _, cys = cy.seat(0)
    call.relay.transports["ben-1"].estimate.bitrate = 500_000
    # By the next tick the share of repairs is that of this.
    await asyncio.sleep(0.1)
    for index in range(60):
        ada.send_frame(key=index == 0, parts=(bytes(900),))
    await until(lambda: len(ben.heard_on(bens)) == 60 and len(cy.heard_on(cys)) == 60)
    numbers = [h.packet.sequence_number for h in ben.heard_on(bens)]
    noise = random.Random(1)
    for _ in range(40):
        nack(ben, ben.slots[bens][0], numbers)
        # Numbers that were never sent, of slots of one's own and of another's.
        anything = sorted(noise.sample(range(1 << 16), 40))
        for ssrc in (ben.slots[bens][0], cy.slots[cys][0], noise.randrange(1 << 32)):
            nack(ben, ssrc, anything)
    for _ in range(30):
        ada.send_frame(parts=(b"next",))
    await until(lambda: len(cy.heard_on(cys)) == 90)
    # The burst that repairs get is 24 kB, and the share of the half second that they may wait.
    slot = call.relay.transports["ben-1"].slots_by_ssrc[ben.slots[bens][0]]
    await until(lambda: slot.repairs.refused > 0)
    assert 0 < len(ben.heard_on(bens, repaired=True)) < 60
    assert cy.heard_on(cys, repaired=True) == []


def test_missing_packets_are_asked_for_at_intervals_and_then_given_up() -> None:
    missing = Missing()
    assert missing.skipped(10, 13, 0.0)
    assert missing.due(0.0) == [10, 11, 12]
    assert missing.due(0.05) == []
    assert missing.arrived(11)
    assert not missing.arrived(11)
    assert missing.due(0.11) == [10, 12]
    assert missing.due(1.5) == []
    assert len(missing) == 0


def test_a_missing_packet_is_asked_for_eight_times_and_no_more() -> None:
    missing = Missing()
    missing.skipped(10, 11, 0.0)
    # Often enough within the second that anybody keeps it, were it asked for as often as looked at.
    asked = [tenths for tenths in range(10) if missing.due(tenths * 0.101) == [10]]
    assert asked == list(range(8))
    assert len(missing) == 0


def test_a_missing_packet_is_asked_for_within_a_second_and_no_longer() -> None:
    missing = Missing()
    missing.skipped(10, 11, 0.0)
    assert missing.due(0.0) == [10]
    assert missing.due(1.0) == [10]
    assert missing.due(1.2) == []
    assert len(missing) == 0


def test_an_outage_is_not_repaired_packet_by_packet() -> None:
    missing = Missing()
    assert not missing.skipped(0, 5000, 0.0)
    assert len(missing) == 0


def test_negative_acknowledgements_read_back() -> None:
    for sequences in ([5], [5, 6, 21, 22, 38], [0xFFFE, 0xFFFF, 0, 1, 15], list(range(100, 200))):
        packet = memoryview(negative_acknowledgement(1, 2, sequences))
        (part,) = parts_of(packet)
        assert list(nacked(part.body)) == sequences


async def test_what_left_before_either_sequence_wrapped_is_repaired_after(call: Call) -> None:
    """By RTX, whose own numbers wrap meanwhile; libsrtp takes none of them for a repetition."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    ssrc, _ = ben.slots[video]
    slot = call.relay.transports["ben-1"].slots_by_ssrc[ssrc]
    slot.numbering.next_sequence = 0xFFFD
    slot.repairs._sequence = 0xFFFD
    for number in range(6):
        ada.send_frame(key=number == 0, parts=(b"%d" % number,))
    await until(lambda: len(ben.heard_on(video)) == 6)
    numbers = [heard.packet.sequence_number for heard in ben.heard_on(video)]
    assert numbers == [0xFFFD, 0xFFFE, 0xFFFF, 0, 1, 2]
    nack(ben, ssrc, numbers)
    await until(lambda: len(ben.heard_on(video, repaired=True)) == 6)
    repairs = [heard.packet for heard in ben.heard_on(video, repaired=True)]
    assert [int.from_bytes(each.payload[:2], "big") for each in repairs] == numbers
    assert [each.payload[8:] for each in repairs] == [b"%d" % number for number in range(6)]
    assert [each.sequence_number for each in repairs] == [0xFFFE, 0xFFFF, 0, 1, 2, 3]
    assert (ben.undecryptable, call.relay.transports["ben-1"].outlet.refused_sends) == (0, 0)


async def asked_for_of_many(call: Call) -> list[int]:
    """Send 600 packets within a second; return how far back repairs go."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    for number in range(600):
        ada.send_frame(key=number == 0)
        await asyncio.sleep(0.001)
    await until(lambda: len(ben.heard_on(video)) == 600)
    heard = [each.packet.sequence_number for each in ben.heard_on(video)]
    for back in (513, 512, 1):
        nack(ben, ben.slots[video][0], [heard[-back]])
    await asyncio.sleep(0.1)
    repairs = [each.packet.payload[:2] for each in ben.heard_on(video, repaired=True)]
    return [600 - heard.index(int.from_bytes(number, "big")) for number in repairs]


def test_of_one_layer_the_last_512_packets_are_repaired() -> None:
    assert call_in_virtual_time(asked_for_of_many) == [512, 1]


async def repaired_behind_one_that_came_late(call: Call) -> None:
    """Miss a packet once the one 512 before it has come, behind all of them."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    camera = ada.track(PublishSource.CAMERA)
    ada.send_frame(key=True)
    late = ada.rtp(camera, camera.vp8_payload(b"late", key=False, first=True), marker=True)
    camera.step(3000, 4)
    for number in range(0, 520, 26):
        ada.send_frame(parts=[b"%d" % (number + part) for part in range(1, 27)])
        await asyncio.sleep(1 / 30)
    ada.send(late)
    await until(lambda: len(ben.heard_on(video)) == 522)
    before = len(ada.key_frame_requests)
    missed = next(each.packet for each in ben.heard_on(video) if each.content == b"512")
    nack(ben, ben.slots[video][0], [missed.sequence_number])
    await until(lambda: ben.heard_on(video, repaired=True) or len(ada.key_frame_requests) > before)
    repairs = [each.packet.payload for each in ben.heard_on(video, repaired=True)]
    assert repairs == [missed.sequence_number.to_bytes(2, "big") + missed.payload]


def test_what_comes_very_late_takes_no_newer_packets_place() -> None:
    call_in_virtual_time(repaired_behind_one_that_came_late)


async def asked_of_a_voice_with_a_hole(call: Call) -> list[tuple[int, float]]:
    """Let a voice go on beyond what is asked for again, while somebody hears it."""
    ada = await call.join("ada", dialect=Dialect(opus_feedback=("nack",)))
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    microphone = ada.track(PublishSource.MICROPHONE)
    for heard in (1, 2):
        ada.send_audio()
        await until(lambda heard=heard: len(ben.heard_on(audio)) == heard)  # type: ignore[misc]
        microphone.sequence = microphone.sequence + 300 & 0xFFFF
    await asyncio.sleep(2)
    return ada.key_frame_requests


def test_no_voice_is_asked_for_a_key_frame() -> None:
    """It has none, so that the request was repeated for the rest of the call."""
    assert call_in_virtual_time(asked_of_a_voice_with_a_hole) == []


async def key_frames_and_voices_in_a_storm(call: Call) -> tuple[int, int, list[float]]:
    """Let Ben ask for whatever there is, and never was, 50 times a second for 10 s.

    Returns how many key frames Ada was asked for, how many repairs came, and how long each of her
    packets was under way to Cy.
    """
    loop = asyncio.get_running_loop()
    ada, ben, cy = [await call.join(name) for name in ("ada", "ben", "cy")]
    (_, bens), (audio, video) = ben.seat(0), cy.seat(0)
    noise = random.Random(1)

    def answer(ssrc: int) -> None:
        ada.send_frame(key=True)

    ada.on_key_frame_request = answer
    ada.send_frame(key=True)
    await until(lambda: ben.heard_on(bens) and cy.heard_on(video))
    await asyncio.sleep(1)
    asked, sent = len(ada.key_frame_requests), []
    for step in range(500):
        sent.append(loop.time())
        ada.send_audio(b"%d" % step)
        if step % 2:
            ada.send_frame(parts=(bytes(900),) * 2)
        heard = [each.packet.sequence_number for each in ben.heard_on(bens)[-200:]]
        nack(ben, ben.slots[bens][0], heard)
        nack(ben, ben.slots[bens][0], sorted(noise.sample(range(1 << 16), 100)))
        await asyncio.sleep(0.02)
    voices = {int(each.content): each.at for each in cy.heard_on(audio)}
    assert set(voices) == set(range(500))
    repairs = len(ben.heard_on(bens, repaired=True))
    delays = [voices[step] - at for step, at in enumerate(sent)]
    return len(ada.key_frame_requests) - asked, repairs, delays


def test_a_storm_costs_no_voice_a_moment_and_nobody_many_key_frames() -> None:
    asked, repairs, delays = call_in_virtual_time(key_frames_and_voices_in_a_storm)
    assert repairs > 100
    # Six at once and one in two seconds; who asks for what is kept no more asks for one.
    assert 1 <= asked <= 12
    # A tick of the clock: each leaves in the wake-up that brought it.
    assert max(delays) < 0.01
