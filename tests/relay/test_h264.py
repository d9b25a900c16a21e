"""H.264 from one crafted client to another (RFC 6184): where it begins, and what is lost of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from actors.relay import PublishSource
from actors.relay.wire.rtcp import negative_acknowledgement
from benchmarks.media.description import Dialect
from benchmarks.media.packet import FRAME_TICKS
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, call_in_virtual_time
from .test_forwarding import OTHER_DIALECT


def send_units(client: CraftedClient, units: Sequence[bytes], ticks: int = FRAME_TICKS) -> None:
    """Send one picture of H.264, a packet for each of these (RFC 6184 §5)."""
    track = client.track(PublishSource.CAMERA)
    for index, unit in enumerate(units):
        last = index == len(units) - 1
        client.send(client.rtp(track, unit, marker=last))
        track.step(ticks if last else 0, len(unit))


async def test_h264_in_many_packets_begins_with_its_parameters_and_goes_on_whole(
    call: Call,
) -> None:
    ada = await call.join("ada", dialect=Dialect(vp8=None))
    ben = await call.join("ben", dialect=OTHER_DIALECT, seats=1)
    eve = await call.join("eve")
    _, video = ben.seat(0)
    key = (b"\x67parameters", b"\x68more", b"\x7c\x85a", b"\x7c\x05b", b"\x7c\x45c")
    delta = (b"\x7c\x81d", b"\x7c\x01e", b"\x7c\x41f")
    # Of a picture that needs another nothing is shown.
    send_units(ada, delta)
    await until(lambda: ada.key_frame_requests)
    assert ben.heard_on(video) == []
    send_units(ada, key)
    send_units(ada, delta)
    await until(lambda: len(ben.heard_on(video)) == 8)
    packets = [heard.packet for heard in ben.heard_on(video)]
    assert [packet.payload for packet in packets] == [*key, *delta]
    assert {packet.payload_type for packet in packets} == {126}
    assert [packet.marker for packet in packets] == [0, 0, 0, 0, 1, 0, 0, 1]
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == [numbers[0] + index & 0xFFFF for index in range(8)]
    first, second = packets[0].timestamp, packets[-1].timestamp
    assert [p.timestamp for p in packets] == [first] * 5 + [second] * 3
    assert second - first & 0xFFFFFFFF == FRAME_TICKS
    # What is missed comes by the repair stream of this codec.
    ssrc, _ = ben.slots[video]
    ben.send_rtcp(negative_acknowledgement(1, ssrc, [numbers[3]]))
    await until(lambda: ben.heard_on(video, repaired=True))
    repair = ben.heard_on(video, repaired=True)[0].packet
    assert (repair.payload_type, repair.payload[2:]) == (127, key[3])
    # Whoever sits there next sends the other codec.
    ada.close()
    await until(lambda: call.listener.occupants("ben").get(("seat", 0)) == "eve")
    eve.send_frame(key=True, parts=(b"VP8",))
    await until(lambda: len(ben.heard_on(video)) == 9)
    last = ben.heard_on(video)[-1]
    assert (last.packet.payload_type, last.content) == (120, b"VP8")
    assert last.packet.sequence_number == numbers[-1] + 1 & 0xFFFF


SPS, PPS, IDR = b"\x67sequence", b"\x68picture", b"\x7c\x85slice"
TOGETHER = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (SPS, PPS))


async def parameters_lost_on_the_way_in(call: Call, units: Sequence[bytes], lost: int) -> None:
    """Let a packet of a key frame be lost for good; who waits and who sees need another frame."""
    ada = await call.join("ada", dialect=Dialect(vp8=None))
    ben = await call.join("ben", seats=1)
    _, video = ben.seat(0)
    track = ada.track(PublishSource.CAMERA)

    def send_key_frame(*, whole: bool) -> None:
        for index, unit in enumerate(units):
            last = index == len(units) - 1
            if whole or index != lost:
                ada.send(ada.rtp(track, unit, marker=last))
            track.step(FRAME_TICKS if last else 0, len(unit))

    def asked() -> int:
        return len(ada.key_frame_requests)

    # An earlier packet of hers, so that what is lost is known to have been there.
    send_units(ada, (b"\x7c\x81d",))
    await until(asked)
    send_key_frame(whole=False)
    before = asked()
    await asyncio.sleep(1.2)
    if lost == 0:
        # Nothing a decoder could begin with has been sent on, and the relay goes on asking.
        assert ben.heard_on(video) == []
        assert asked() > before
    send_key_frame(whole=True)
    await until(lambda: len(ben.heard_on(video)) >= len(units))
    await asyncio.sleep(1)
    # Another, with a hole that Ben sees and asks about in vain.
    hole = ben.heard_on(video)[-1].packet.sequence_number + 1 + lost & 0xFFFF
    send_key_frame(whole=False)
    before = asked()
    for _ in range(8):
        await asyncio.sleep(0.2)
        ben.send_rtcp(negative_acknowledgement(1, ben.slots[video][0], [hole]))
    await asyncio.sleep(0.1)
    assert asked() > before


@pytest.mark.parametrize(
    ("units", "lost"), [((TOGETHER, IDR), 0), ((SPS, PPS, IDR), 0), ((SPS, PPS, IDR), 1)]
)
def test_lost_parameters_of_h264_ask_for_a_key_frame(units: tuple[bytes, ...], lost: int) -> None:
    """Without them nobody decodes the slice that follows (RFC 6184 §8.4)."""
    call_in_virtual_time(partial(parameters_lost_on_the_way_in, units=units, lost=lost))
