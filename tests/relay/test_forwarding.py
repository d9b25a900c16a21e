"""Media from one crafted client to another, over real UDP, ICE and DTLS-SRTP."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from actors.relay import MediaRights, PublishSource, TransportState
from actors.relay.wire.rtp import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from benchmarks.media.description import Dialect
from benchmarks.media.packet import FRAME_TICKS
from tests.patience import until

from .client import EVERYTHING
from .conftest import Call, call_in_virtual_time

OTHER_DIALECT = Dialect(
    opus=109,
    vp8=120,
    vp8_rtx=124,
    h264=126,
    h264_rtx=127,
    extensions={MID_URI: 7, TRANSPORT_CC_URI: 2, AUDIO_LEVEL_URI: 5},
)


async def test_audio_arrives_with_the_receivers_own_numbers(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben", dialect=OTHER_DIALECT)
    for index in range(20):
        ada.send_audio(b"voice %d" % index, level=33)
    audio, _ = ben.seat(0)
    await until(lambda: len(ben.heard_on(audio)) == 20)
    heard = ben.heard_on(audio)
    assert [h.packet.payload for h in heard] == [b"voice %d" % i for i in range(20)]
    assert {h.packet.payload_type for h in heard} == {109}
    assert {h.mid for h in heard} == {audio}
    assert {h.packet.extensions.audio_level for h in heard} == {(False, 33)}
    numbers = [h.packet.sequence_number for h in heard]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    stamps = [h.packet.timestamp for h in heard]
    assert {b - a & 0xFFFFFFFF for a, b in itertools.pairwise(stamps)} == {960}
    counters = [h.packet.extensions.transport_sequence_number for h in heard]
    assert None not in counters
    assert len(set(counters)) == 20


async def test_every_line_begins_below_half_and_every_transport_with_ssrcs_of_its_own(
    call: Call,
) -> None:
    """So that no rollover is guessed wrongly, and one key never meets another's numbers."""
    first = await call.join("ada", "ada-1", seats=30)
    second = await call.join("ada", "ada-2", seats=30)
    slots = [
        slot for name in ("ada-1", "ada-2") for slot in call.relay.transports[name].all_slots()
    ]
    assert max(slot.numbering.next_sequence for slot in slots) < 1 << 15
    assert max(slot.repairs._sequence for slot in slots) < 1 << 15
    numbers = [
        number
        for client in (first, second)
        for pair in client.slots.values()
        for number in pair
        if number
    ]
    # A voice has no RTX.
    assert len(set(numbers)) == len(numbers) == 2 * (2 * 61 - 30)
    assert first.remote.ufrag != second.remote.ufrag
    assert first.remote.password != second.remote.password


async def test_video_begins_with_a_key_frame_and_asks_for_one(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    camera = ada.track(PublishSource.CAMERA)
    _, video = ben.seat(0)
    ada.send_frame(parts=(b"delta",))
    await until(lambda: camera.ssrc in dict(ada.key_frame_requests))
    assert not ben.heard_on(video)
    ada.send_frame(key=True, parts=(b"key 1", b"key 2"))
    ada.send_frame(parts=(b"delta",))
    await until(lambda: len(ben.heard_on(video)) == 3)
    assert [h.content for h in ben.heard_on(video)] == [b"key 1", b"key 2", b"delta"]


async def key_frame_requests(call: Call) -> None:
    ada = await call.join("ada")
    await call.join("ben")
    ada.send_frame(parts=(b"delta",))
    await until(lambda: len(ada.key_frame_requests) >= 3)
    moments = [at for _, at in ada.key_frame_requests]
    # A tick late at most, and never early.
    steps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert all(0.49 < step < 0.56 for step in steps), steps
    ada.send_frame(key=True)
    seen = len(ada.key_frame_requests)
    ada.send_frame()
    for _ in range(20):
        ada.send_audio()
    await until(lambda: any(r for r in call.relay.transports["ada-1"].publications.values()))
    assert len(ada.key_frame_requests) <= seen + 1


def test_the_request_repeats_until_a_key_frame_is_seen_and_is_throttled() -> None:
    call_in_virtual_time(key_frame_requests)


async def test_everybody_is_seated_with_everybody_and_nobody_with_themselves(call: Call) -> None:
    names = ("ada", "ben", "cy")
    for name in names:
        await call.join(name)
    for name in names:
        occupants = call.listener.occupants(name)
        assert set(occupants.values()) == set(names) - {name}
    call.relay.remove("cy")
    assert "cy" not in call.listener.occupants("ada").values()
    assert call.listener.state_of("cy-1") is TransportState.CLOSED


async def test_a_seat_message_names_the_time_from_which_it_holds(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    update = next(s for p, s in call.listener.seats if p == "ben")
    assert update.participant_id == "ada"
    ada.send_audio()
    audio, _ = ben.seat(0)
    await until(lambda: ben.heard_on(audio))
    first = ben.heard_on(audio)[0].packet.timestamp
    assert update.audio_timestamp is not None
    assert (first - update.audio_timestamp) & 0xFFFFFFFF < 48000 * 60


async def test_one_persons_voice_and_picture_share_a_stream_id(call: Call) -> None:
    ben = await call.join("ben")
    streams: dict[str, str] = {}
    mid = ""
    for line in ben.answer.splitlines():
        if line.startswith("a=mid:"):
            mid = line[6:]
        elif line.startswith("a=msid:"):
            streams[mid] = line[7:].split()[0]
    for index in range(7):
        audio, video = ben.seat(index)
        assert streams[audio] == streams[video]
    assert len(set(streams.values())) == 8


async def test_mute_stops_the_packets_and_camera_on_begins_with_a_key_frame(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, video = ben.seat(0)
    ada.send_audio(b"before")
    ada.send_frame(key=True, parts=(b"before",))
    await until(lambda: ben.heard_on(audio) and ben.heard_on(video))
    off = {PublishSource.MICROPHONE: False, PublishSource.CAMERA: False}
    call.relay.set_published("ada", off)
    arrived = call.relay.transports["ada-1"].intake
    count = arrived.packets
    ada.send_audio(b"secret")
    ada.send_frame(key=True, parts=(b"secret",))
    await until(lambda: arrived.packets >= count + 2)
    call.relay.set_published("ada", dict.fromkeys(off, True))
    ada.send_audio(b"after")
    ada.send_frame(parts=(b"delta",))
    ada.send_frame(key=True, parts=(b"after",))
    await until(lambda: len(ben.heard_on(audio)) == 2 and len(ben.heard_on(video)) == 2)
    assert [h.content for h in ben.heard_on(audio)] == [b"before", b"after"]
    pictures = ben.heard_on(video)
    assert [h.content for h in pictures] == [b"before", b"after"]
    # No hole where packets were left out on purpose.
    assert pictures[1].packet.sequence_number == pictures[0].packet.sequence_number + 1
    first, second = (h.picture for h in pictures)
    assert first is not None
    assert second == (first + 1) & 0x7FFF


@pytest.mark.parametrize(
    ("source", "withdrawn"),
    [
        (PublishSource.MICROPHONE, replace(EVERYTHING, send_audio=False)),
        (PublishSource.CAMERA, replace(EVERYTHING, send_video=False)),
        (PublishSource.SCREEN, replace(EVERYTHING, send_screen=False)),
    ],
)
async def test_a_right_withdrawn_in_mid_call_is_enforced_here(
    call: Call, source: PublishSource, withdrawn: MediaRights
) -> None:
    """What its sender sends on goes nowhere; all else goes on, and it too once it is given back."""
    ada, ben = await call.join("ada", publish=tuple(PublishSource)), await call.join("ben")
    audio, video = ben.seat(0)
    mids = {
        PublishSource.MICROPHONE: audio,
        PublishSource.CAMERA: video,
        PublishSource.SCREEN: ben.screen(0),
    }
    arrived = call.relay.transports["ada-1"].intake

    async def send(content: bytes) -> None:
        count = arrived.packets
        ada.send_audio(content)
        for picture in (PublishSource.CAMERA, PublishSource.SCREEN):
            ada.send_frame(key=True, parts=(content,), source=picture)
        await until(lambda: arrived.packets >= count + len(mids))

    def heard() -> dict[PublishSource, set[bytes]]:
        return {each: {h.content for h in ben.heard_on(mid)} for each, mid in mids.items()}

    def all_have(content: bytes) -> bool:
        return all(content in contents for contents in heard().values())

    # A screen is given its slot by its first packet, and shown from its next key frame on.
    await send(b"first")
    await send(b"allowed")
    await until(lambda: all_have(b"allowed"))
    call.relay.set_rights("ada", withdrawn)
    await send(b"forbidden")
    others = [each for each in mids if each is not source]
    await until(lambda: all(b"forbidden" in heard()[each] for each in others))
    call.relay.set_rights("ada", EVERYTHING)
    await send(b"first again")
    await send(b"again")
    await until(lambda: all_have(b"again"))
    assert {each for each, contents in heard().items() if b"forbidden" in contents} == set(others)


async def test_voice_only_receives_no_video(call: Call) -> None:
    ada = await call.join("ada")
    rights = MediaRights(send_audio=True, send_video=False, send_screen=False, receive_video=False)
    ben = await call.join("ben", rights=rights)
    audio, video = ben.seat(0)
    ada.send_frame(key=True)
    ada.send_audio()
    await until(lambda: ben.heard_on(audio))
    assert not ben.heard_on(video)


async def test_before_an_answer_the_connection_stands_and_nothing_passes(call: Call) -> None:
    ada = await call.join("ada")
    waits = MediaRights(
        send_audio=False,
        send_video=False,
        send_screen=False,
        receive_video=False,
        takes_part=False,
    )
    ben = await call.join("ben", rights=waits)
    intake = {name: call.relay.transports[f"{name}-1"].intake for name in ("ada", "ben")}
    for client in (ada, ben):
        client.send_frame(key=True, parts=(b"early",))
        client.send_audio(b"early")
    await until(lambda: all(each.packets >= 2 for each in intake.values()))
    assert not any(call.listener.occupants(name) for name in ("ada", "ben"))
    requests = len(ada.key_frame_requests)

    call.relay.set_rights("ben", EVERYTHING)
    await until(lambda: len(ada.key_frame_requests) > requests)
    for client in (ada, ben):
        client.send_frame(key=True, parts=(b"answered",))
        client.send_audio(b"answered")
    for client in (ada, ben):
        for mid in client.seat(0):
            await until(lambda c=client, m=mid: c.heard_on(m))  # type: ignore[misc]
            assert [h.content for h in client.heard_on(mid)] == [b"answered"]


async def test_voice_only_saves_the_bandwidth_both_ways(call: Call) -> None:
    """Measured at the sockets: what a voice costs is a small part of what a picture costs."""
    ada = await call.join("ada")
    ben = await call.join("ben")
    ben.send_frame(key=True)
    ada.send_frame(key=True)

    async def octets_to_ben() -> int:
        outlet = call.relay.transports["ben-1"].outlet
        before, sent = outlet.octets_sent, len(ben.heard_on(ben.seat(0)[0]))
        for _ in range(30):
            ada.send_frame(parts=(bytes(1000),) * 3)
            ada.send_audio(bytes(80))
            ada.send_audio(bytes(80))
        await until(lambda: len(ben.heard_on(ben.seat(0)[0])) == sent + 60)
        return outlet.octets_sent - before

    await until(lambda: ben.heard_on(ben.seat(0)[1]))
    with_picture = await octets_to_ben()
    voice = MediaRights(send_audio=True, send_video=False, send_screen=False, receive_video=False)
    call.relay.set_rights("ben", voice)
    voice_only = await octets_to_ben()
    assert voice_only < with_picture / 8
    # And Ben's own camera goes nowhere, whatever his widget sends.
    seen = len(ada.heard_on(ada.seat(0)[1]))
    ben.send_frame(key=True)
    ben.send_audio(b"last")
    await until(lambda: ada.heard_on(ada.seat(0)[0]))
    assert len(ada.heard_on(ada.seat(0)[1])) == seen


def picture_of(call: Call, name: str) -> dict[str, object]:
    """Whether the one picture that somebody receives is wanted, awaited and fed."""
    shown = json.loads(json.dumps(call.relay.snapshot()))
    (transport,) = [t for t in shown["transports"] if t["participant_id"] == name]
    (slot,) = [s for s in transport["subscriptions"] if s["video"]]
    return {key: slot[key] for key in ("wanted", "waiting", "feeding")}


async def test_a_hidden_seat_is_paused_and_comes_back_with_a_key_frame(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, video = ben.seat(0)
    ada.send_frame(key=True, parts=(b"seen",))
    await until(lambda: ben.heard_on(video))
    call.relay.set_view("ben-1", {0: None}, {})
    ada.send_frame(key=True, parts=(b"hidden",))
    ada.send_audio()
    await until(lambda: ben.heard_on(audio))
    assert picture_of(call, "ben") == {"wanted": False, "waiting": False, "feeding": False}
    requests = len(ada.key_frame_requests)
    call.relay.set_view("ben-1", {0: (640, 360)}, {})
    await until(lambda: len(ada.key_frame_requests) > requests)
    assert picture_of(call, "ben") == {"wanted": True, "waiting": True, "feeding": False}
    ada.send_frame(key=True, parts=(b"again",))
    await until(lambda: len(ben.heard_on(video)) == 2)
    assert picture_of(call, "ben") == {"wanted": True, "waiting": False, "feeding": True}
    assert [h.content for h in ben.heard_on(video)] == [b"seen", b"again"]


async def test_a_screen_takes_a_screen_slot_once_it_is_sent(call: Call) -> None:
    sources = (PublishSource.MICROPHONE, PublishSource.CAMERA, PublishSource.SCREEN)
    ada = await call.join("ada", publish=sources)
    ben = await call.join("ben")
    assert ("screen", 0) not in call.listener.occupants("ben")
    ada.send_frame(key=True, parts=(b"slide",), source=PublishSource.SCREEN)
    await until(lambda: call.listener.occupants("ben").get(("screen", 0)) == "ada")
    await until(lambda: ben.heard_on(ben.screen(0)))
    call.relay.set_published("ada", {PublishSource.SCREEN: False})
    assert ("screen", 0) not in call.listener.occupants("ben")


async def test_packets_that_leave_together_keep_their_holes_and_their_times(call: Call) -> None:
    """What is lost in the midst of a frame, or its end, by which frames are told apart."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    ada.send_frame(key=True)
    await until(lambda: ben.heard_on(video))
    first = ben.heard_on(video)[0]
    number, stamp = first.packet.sequence_number, first.packet.timestamp
    track = ada.track(PublishSource.CAMERA)
    sequences = ada.send_frame(parts=(b"a", b"b", b"c", b"d"), lose=(1,))
    await until(lambda: len(ben.heard_on(video)) == 4)
    found = [(h.content, h.packet.sequence_number - number & 0xFFFF) for h in ben.heard_on(video)]
    assert found == [(b"", 0), (b"a", 1), (b"c", 3), (b"d", 4)]
    # Its place is free for it.
    ada.resend(
        track,
        sequences[1],
        track.timestamp - FRAME_TICKS & 0xFFFFFFFF,
        track.vp8_payload(b"b", key=False, first=False),
    )
    await until(lambda: len(ben.heard_on(video)) == 5)
    late = ben.heard_on(video)[-1]
    assert (late.content, late.packet.sequence_number - number & 0xFFFF) == (b"b", 2)
    for part in (b"e", b"f"):
        track.begin_picture()
        payload = track.vp8_payload(part, key=False, first=True)
        ada.send(ada.rtp(track, payload, marker=part == b"f"))
        track.step(FRAME_TICKS, len(payload))
    await until(lambda: len(ben.heard_on(video)) == 7)
    assert first.picture is not None
    assert [
        (
            h.content,
            h.packet.sequence_number - number & 0xFFFF,
            h.packet.timestamp - stamp & 0xFFFFFFFF,
            h.picture,
        )
        for h in ben.heard_on(video)[-2:]
    ] == [
        (b"e", 5, 2 * FRAME_TICKS, first.picture + 2 & 0x7FFF),
        (b"f", 6, 3 * FRAME_TICKS, first.picture + 3 & 0x7FFF),
    ]
