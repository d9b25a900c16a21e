"""Too much of what is valid: who may send or ask for it may so often, at nobody else's cost."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace
from functools import partial

import pytest

from actors.relay import PublishSource, RelayConfig
from actors.relay.wire.rtcp import picture_loss, receiver_report
from broker.errors import ErrorCode, TooFast
from tests.patience import until

from .camera import RIDS, Camera
from .client import EVERYTHING, CraftedClient
from .conftest import Call, StartCall, call_in_virtual_time
from .stranger import echo


async def test_what_one_sender_brings_is_bounded_and_counted(start_call: StartCall) -> None:
    """ASVS V17.2.5: valid packets, but more than a second may have."""
    moment = 1000.0
    call = await start_call(RelayConfig(max_packets_per_second=40), clock=lambda: moment)
    ada = await call.join("ada")
    await call.join("ben")
    intake = call.relay.transports["ada-1"].intake
    drops = intake.drops
    forged = ada.rtp(ada.track(PublishSource.MICROPHONE), b"forged")
    for _ in range(20):
        ada.send(forged[:-1] + bytes([forged[-1] ^ 1]))
    await until(lambda: drops.unauthentic == 20)
    for sent, taken, dropped in ((15, 10, 5), (10, 15, 10), (2, 17, 10)):
        for _ in range(sent):
            ada.send_audio()
        await until(lambda: intake.packets + drops.excess == taken + dropped)  # noqa: B023
        assert (intake.packets, drops.excess) == (taken, dropped)
        # A quarter of a second brings all of it back, half of that half; no tick is waited for.
        moment += 0.125
    for _ in range(10):
        ada.send_rtcp(receiver_report(1, ()))
    await until(lambda: intake.packets + drops.excess == 37)
    assert (intake.packets, drops.excess) == (25, 12)
    # Another's share is their own.
    assert call.relay.transports["ben-1"].intake.drops.excess == 0


async def test_transports_are_bounded_and_a_closed_one_makes_room(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(max_transports=2))
    ada = await call.join("ada")
    ben = await call.join("ben")
    mallory = CraftedClient(call.relay, "mallory")
    call.clients.append(mallory)
    with pytest.raises(TooFast) as refused:
        mallory.negotiate()
    assert refused.value.code == ErrorCode.SESSION_FULL
    assert call.relay.transports.keys() == {"ada-1", "ben-1"}
    assert call.relay.people.keys() == {"ada", "ben"}
    ben.close()
    await until(lambda: call.relay.transports.keys() == {"ada-1"})
    await mallory.connect()
    mallory.send_audio(b"now")
    await until(lambda: any(h.content == b"now" for h in ada.heard))


async def test_of_one_compound_so_many_parts_are_looked_at(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part takes four bytes: in a second one sender could bring 700,000."""
    ada = await call.join("ada")
    intake = call.relay.transports["ada-1"].intake
    seen: list[object] = []
    monkeypatch.setattr(type(intake.feedback), "_part", lambda _, part, now: seen.append(part))
    ada.send_rtcp(receiver_report(1, ()) + b"\x80\xcb\x00\x00" * 300)
    await until(lambda: seen)
    assert len(seen) == 16


async def asked_without_end(call: Call) -> int:
    """Let Ben ask for a key frame ten times a second; return how many Ada was asked for."""
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)

    def answer(ssrc: int) -> None:
        ada.send_frame(key=True)

    ada.send_frame(key=True)
    await until(lambda: ben.heard_on(video))
    ada.on_key_frame_request = answer
    await asyncio.sleep(1)
    before = len(ada.key_frame_requests)
    for _ in range(200):
        ben.send_rtcp(picture_loss(1, ben.slots[video][0]))
        await asyncio.sleep(0.1)
    return len(ada.key_frame_requests) - before


def test_one_subscriber_does_not_ask_for_key_frames_without_end() -> None:
    """Else everybody who sees the layer would pay for two in a second."""
    # Six at once, and one in two seconds.
    assert 12 <= call_in_virtual_time(asked_without_end) <= 17


def whole_pictures(ssrcs: list[int]) -> bytes:
    """A FIR with an entry for each: the SSRC, a number, three bytes (RFC 5104 §4.3.1.1)."""
    body = struct.pack("!II", 1, 0)
    body += b"".join(
        struct.pack("!IBxxx", ssrc, number & 0xFF) for number, ssrc in enumerate(ssrcs)
    )
    return struct.pack("!BBH", 0x84, 206, len(body) // 4) + body


async def test_all_pictures_that_one_message_names_are_asked_for(call: Call) -> None:
    ada, eve = await call.join("ada"), await call.join("eve")
    ben = await call.join("ben", publish=())
    for client in (ada, eve):
        client.send_frame(key=True)
    mids = [ben.seat(index)[1] for index in range(2)]
    await until(lambda: all(ben.heard_on(mid) for mid in mids))
    # Nothing is due of what they were asked for when Ben came.
    layers = [
        layer
        for name in ("ada-1", "eve-1")
        for layer in call.relay.transports[name].intake.layers.values()
    ]
    await until(lambda: not any(layer.key_wanted for layer in layers))
    asked = [len(client.key_frame_requests) for client in (ada, eve)]
    ben.send_rtcp(whole_pictures([ben.slots[mid][0] for mid in mids]))
    for client, before in zip((ada, eve), asked, strict=True):
        await until(lambda c=client, b=before: len(c.key_frame_requests) > b)  # type: ignore[misc]


@pytest.mark.parametrize("entries", [1, 100])
async def test_requests_for_key_frames_are_looked_at_a_hundred_times_a_second(
    start_call: StartCall, entries: int
) -> None:
    """However many messages a packet has, and however many requests a message."""
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada, ben = await call.join("ada"), await call.join("ben")
    _, video = ben.seat(0)
    ada.send_frame(key=True)
    await until(lambda: ben.heard_on(video))
    feedback = call.relay.transports["ben-1"].intake.feedback
    ssrc = ben.slots[video][0]
    message = picture_loss(1, ssrc) if entries == 1 else whole_pictures([ssrc] * entries)
    counts = []
    for _ in range(2):
        for _ in range(20):
            ben.send_rtcp(message * (16 if entries == 1 else 1))
        await echo(ben)
        counts.append(feedback.key_frames_wanted)
        moment += 0.5
    assert counts == [100, 150]


async def changing_the_view_without_end(call: Call, change: str) -> tuple[int, int]:
    """Let Ben change for half a minute what he looks at, four times a second.

    Returns how many key frames Ada was asked for, and how often her widget was told of layers.
    """
    rids = RIDS if change == "size" else ()
    ada, ben = await call.join("ada", rids=rids), await call.join("ben")
    camera = Camera(ada, rids=rids or ("",), interval=1 / 30)
    _, video = ben.seat(0)
    await until(lambda: ben.heard_on(video))
    before = len(ada.key_frame_requests)
    sizes: tuple[tuple[int, int] | None, ...] = ((320, 180), (1280, 720), (640, 360))
    for step in range(120):
        match change:
            case "size":
                call.relay.set_view("ben-1", {0: sizes[step // 3 % 3]}, {})
            case "hide":
                call.relay.set_view("ben-1", {0: ((320, 180), None)[step % 2]}, {})
            case "mode":
                video_too = step % 2 == 0
                call.relay.set_rights("ben", replace(EVERYTHING, receive_video=video_too))
            case "transport" if step % 3 == 0:
                await call.join("ben", f"ben-{step}", publish=())
        await asyncio.sleep(0.25)
    asked, told = len(ada.key_frame_requests) - before, len(call.listener.layers)
    if change == "hide":
        # Who has done so waits for a moment, and sees again.
        call.relay.set_view("ben-1", {0: (320, 180)}, {})
        count = len(ben.heard_on(video))
        await until(lambda: len(ben.heard_on(video)) > count, within=3.0)
    await camera.stop()
    return asked, told


@pytest.mark.parametrize("change", ["hide", "size", "mode", "transport"])
def test_one_subscriber_does_not_cause_key_frames_without_end(change: str) -> None:
    """By whatever they change, and with however many transports: all who see the layer pay."""
    asked, told = call_in_virtual_time(partial(changing_the_view_without_end, change=change))
    # Twelve at once, of which six are kept for lines that get narrow, and one in two seconds.
    assert 1 <= asked <= 12 + 15 + 1
    # Turned off four times at once and once in 15 seconds, and on as often.
    assert told <= 2 * (4 + 2) + 1


async def a_voice_without_end(call: Call) -> tuple[int, int, int]:
    """Let Mallory say for a second all that one sender may bring; return what Ben gets of it.

    Packets, bytes, and how many of the packets' numbers are missing.
    """
    mallory, ben = await call.join("mallory"), await call.join("ben")
    audio, _ = ben.seat(0)
    mallory.send_audio()
    await until(lambda: ben.heard_on(audio))
    for _ in range(100):
        for _ in range(15):
            mallory.send_audio(bytes(600))
        await asyncio.sleep(0.01)
    heard = ben.heard_on(audio)
    octets = sum(len(each.packet.payload) for each in heard)
    numbers = [each.packet.sequence_number for each in heard]
    span = (numbers[-1] - numbers[0] & 0xFFFF) + 1
    assert call.relay.transports["mallory-1"].intake.drops.excess > 1000
    return len(heard), octets, span - len(numbers)


def test_a_voice_takes_no_more_of_everybodys_line_than_a_voice_can() -> None:
    """It is never held back as pictures are, so that it would cost all of them their pictures."""
    packets, octets, missing = call_in_virtual_time(a_voice_without_end)
    # A second's at once and the one that passed, headers counted.
    assert 0.9 * 40_000 < octets + 40 * packets <= 41_000
    assert missing == 0


async def test_the_bits_that_one_sender_brings_are_bounded(start_call: StartCall) -> None:
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada = await call.join("ada")
    intake = call.relay.transports["ada-1"].intake
    drops = intake.drops

    async def send(count: int) -> int:
        """Send so many packets of 1.2 kB; return how many were taken."""
        before = intake.packets, intake.packets + drops.excess
        for _ in range(count):
            ada.send_frame(parts=(bytes(1168),))
            if ada.track(PublishSource.CAMERA).sequence % 20 == 0:
                await asyncio.sleep(0)
        await until(lambda: intake.packets + drops.excess == before[1] + count)
        return intake.packets - before[0]

    assert 420 <= await send(480) <= 440
    # A tenth of a second's 100 kB.
    moment += 0.1
    assert 75 <= await send(120) <= 85
    moment += 10
    assert 420 <= await send(480) <= 440
