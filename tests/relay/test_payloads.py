"""What the relay reads and writes of payloads and of what stands before them."""

from __future__ import annotations

import itertools

import pytest

from actors.relay import PublishSource
from actors.relay.wire.h264 import starts_key_frame
from actors.relay.wire.rtp import MID_URI, body_of, extension
from actors.relay.wire.vp8 import parse_vp8
from benchmarks.media.description import Dialect
from tests.patience import until

from .client import CraftedClient
from .conftest import Call

_IDR, _SPS, _SLICE = 0x65, 0x67, 0x41


def aggregated(*kinds: int) -> bytes:
    return b"\x78" + b"".join(bytes([0, 2, kind, 0]) for kind in kinds)


@pytest.mark.parametrize(
    ("payload", "begins"),
    [
        (bytes([_IDR, 1]), False),
        (bytes([_SPS, 1]), True),
        (bytes([_SLICE, 1]), False),
        (bytes([0x68, 1]), False),
        (aggregated(_SPS, 0x68, _IDR), True),
        (aggregated(0x66, _IDR), False),
        (aggregated(0x66, _SPS, 0x68), True),
        (aggregated(0x66, _SLICE), False),
        # The first fragment of an IDR slice and a later one, of parameters and a later one.
        (bytes([0x7C, 0x85, 1]), False),
        (bytes([0x7C, 0x05, 1]), False),
        (bytes([0x7C, 0x87, 1]), True),
        (bytes([0x7C, 0x07, 1]), False),
        (bytes([0x5C, 0x81, 1]), False),
    ],
)
def test_a_key_frame_of_h264_begins_with_its_parameters(payload: bytes, begins: bool) -> None:
    assert starts_key_frame(memoryview(b"x" + payload), 1, 1 + len(payload)) is begins


@pytest.mark.parametrize(
    ("payload", "begins"),
    [
        (b"\x10\x00", True),
        (b"\x90\x80\x81\x23\x00", True),
        (b"\x90\xe0\x81\x23\x05\x40\x00", True),
        # P = 1, S = 0, another partition than the first.
        (b"\x10\x01", False),
        (b"\x00\x00", False),
        (b"\x11\x00", False),
        (b"\x14\x00", False),
    ],
)
def test_a_key_frame_of_vp8_begins_where_its_first_partition_does(
    payload: bytes, begins: bool
) -> None:
    found = parse_vp8(memoryview(payload), 0, len(payload))
    assert found is not None
    assert found.key is begins


def test_extensions_are_read_in_both_forms() -> None:
    for profile, block in (
        (b"\xbe\xde", b"\x12abc\x00\x40x\x00"),
        (b"\x10\x00", b"\x01\x03abc\x00\x04\x01x\x00\x00\x00"),
        (b"\x10\x05", b"\x00\x01\x03abc\x04\x01x\x00\x00\x00"),
    ):
        data = b"\x90\x60" + bytes(10) + profile + bytes([0, len(block) // 4]) + block + b"payload"
        view = memoryview(data)
        body = body_of(view, len(data))
        assert body is not None
        assert bytes(view[body.payload : body.payload_end]) == b"payload"
        found = {number: extension(view, body, number) for number in (1, 2, 4)}
        assert found == {1: b"abc", 2: None, 4: b"x"}
    # In the short form 15 is kept for what may come, and 0 has no length: either ends the reading
    # (RFC 8285 §4.2).
    for ending in (b"\xf0x", b"\x02xyz"):
        block = ending + b"\x40y"
        block += bytes(-len(block) % 4)
        data = b"\x90\x60" + bytes(10) + b"\xbe\xde" + bytes([0, len(block) // 4]) + block
        body = body_of(memoryview(data), len(data))
        assert body is not None
        assert extension(memoryview(data), body, 4) is None


async def test_numbers_beyond_fourteen_are_written_in_the_form_that_has_them(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben", dialect=Dialect(extensions={MID_URI: 20}))
    audio, _ = ben.seat(0)
    ada.send_audio(b"hello")
    await until(lambda: ben.heard_on(audio))
    assert [(h.mid, h.content) for h in ben.heard_on(audio)] == [(audio, b"hello")]


@pytest.mark.parametrize("bits", [7, 15, 0])
async def test_picture_ids_of_any_form_go_on_over_a_switch(call: Call, bits: int) -> None:
    """Two people in turn, one seat: picture id and TL0PICIDX as one line, 7-bit ids within 7."""
    ben = await call.join("ben", publish=(), seats=1)
    people = {name: await call.join(name) for name in ("ada", "cy")}
    _, video = ben.seat(0)
    written = {7: [0x90, 0xC0], 15: [0x90, 0xC0], 0: [0x10]}[bits]

    def picture(client: CraftedClient, number: int, *, key: bool) -> None:
        track = client.track(PublishSource.CAMERA)
        counters = {7: [number & 0x7F, number & 0xFF], 15: [0x80, number, number & 0xFF], 0: []}[
            bits
        ]
        payload = bytes([*written, *counters, 0 if key else 1]) + client.participant_id.encode()
        client.send(client.rtp(track, payload, marker=True))
        track.step(3000, len(payload))

    heard = 0
    for name, gone, first in (("ada", None, 125), ("cy", "ada", 20), ("ada", "cy", 90)):
        if gone is not None:
            call.relay.remove(gone)
        if name not in call.relay.people:
            people[name] = await call.join(name, f"{name}-again")
        # Far enough for seven bits to wrap.
        for index in range(130 if gone is None else 5):
            picture(people[name], first + index, key=index == 0)
            heard += 1
            await until(lambda count=heard: len(ben.heard_on(video)) == count)  # type: ignore[misc]
    payloads = [h.packet.payload for h in ben.heard_on(video)]
    assert len(payloads) == 140
    if not bits:
        assert {payload[0] for payload in payloads} == {0x10}
        return
    # The first bit tells which form it is.
    assert all(payload[2] >> 7 == (bits == 15) for payload in payloads)
    width = 2 if bits == 15 else 1
    limit = (1 << bits) - 1
    ids = [int.from_bytes(payload[2 : 2 + width], "big") & limit for payload in payloads]
    levels = [payload[2 + width] for payload in payloads]
    assert all(after == before + 1 & limit for before, after in itertools.pairwise(ids))
    assert all(after == before + 1 & 0xFF for before, after in itertools.pairwise(levels))
