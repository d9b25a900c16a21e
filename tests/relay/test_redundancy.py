"""Redundant audio (RFC 2198): passed to those who accept it, unwrapped for the rest."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.relay import PublishSource
from actors.relay.forwarding.forms import Forms
from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.wire.redundancy import blocks_of, renumbered, stand_ins
from benchmarks.media.description import Dialect
from benchmarks.media.packet import AUDIO_TICKS
from tests.patience import until

from .client import CraftedClient
from .conftest import Call

SPEAKS = Dialect(red=63)
NUMBERS_OTHERWISE = Dialect(opus=109, red=110)
PLAIN = Dialect()


def packed(blocks: list[bytes], payload_type: int = 111, step: int = 960) -> bytes:
    """Write a RED payload of consecutive frames, the newest last."""
    heads = b"".join(
        struct.pack(
            "!I", 1 << 31 | payload_type << 24 | (len(blocks) - 1 - i) * step << 10 | len(block)
        )
        for i, block in enumerate(blocks[:-1])
    )
    return heads + bytes([payload_type]) + b"".join(blocks)


def send(client: CraftedClient, payload: bytes) -> None:
    """Send the next packet of the microphone as RED."""
    assert client.dialect.red is not None
    track = client.track(PublishSource.MICROPHONE)
    client.send(client.rtp(track, payload, level=30, payload_type=client.dialect.red))
    pass_over(client)


def pass_over(client: CraftedClient) -> None:
    """Let a packet be lost on the way in."""
    client.track(PublishSource.MICROPHONE).step(AUDIO_TICKS, 0)


async def test_it_passes_to_who_accepts_it_and_is_unwrapped_for_the_rest(call: Call) -> None:
    ada = await call.join("ada", dialect=SPEAKS)
    ben = await call.join("ben", dialect=NUMBERS_OTHERWISE)
    cy = await call.join("cy", dialect=PLAIN)
    send(ada, packed([b"first"]))
    send(ada, packed([b"first", b"second"]))
    pass_over(ada)
    send(ada, packed([b"second", b"third", b"fourth"]))
    bens, _ = ben.seat(0)
    cys, _ = cy.seat(0)
    await until(lambda: len(ben.heard_on(bens)) == 3 and len(cy.heard_on(cys)) == 4)
    assert [h.packet.payload_type for h in ben.heard_on(bens)] == [110] * 3
    assert [h.packet.payload for h in ben.heard_on(bens)] == [
        packed([b"first"], 109),
        packed([b"first", b"second"], 109),
        packed([b"second", b"third", b"fourth"], 109),
    ]
    # The frame that was lost on the way in comes out of the packet after it, in its place.
    plain = cy.heard_on(cys)
    assert [h.packet.payload_type for h in plain] == [111] * 4
    assert [h.content for h in plain] == [b"first", b"second", b"third", b"fourth"]
    numbers = [h.packet.sequence_number for h in plain]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    stamps = [h.packet.timestamp for h in plain]
    assert [(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(stamps)] == [960] * 3


async def test_a_form_is_made_once_however_many_need_it(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []

    class Counted(Frame):
        def __init__(self, packets: Sequence[Packet]) -> None:
            super().__init__(packets)
            made.append(packets[0].payload)

    monkeypatch.setattr("actors.relay.forwarding.forms.Frame", Counted)
    ada = await call.join("ada", dialect=SPEAKS)
    accepting = [await call.join(f"same-{n}", dialect=SPEAKS) for n in range(2)]
    otherwise = [await call.join(f"other-{n}", dialect=NUMBERS_OTHERWISE) for n in range(2)]
    plain = [await call.join(f"plain-{n}", dialect=PLAIN) for n in range(2)]

    async def heard(by_plain: int, by_others: int) -> None:
        await until(
            lambda: (
                all(len(c.heard_on(c.seat(0)[0])) == by_plain for c in plain)
                and all(len(c.heard_on(c.seat(0)[0])) == by_others for c in accepting + otherwise)
            )
        )

    send(ada, packed([b"first"]))
    await heard(1, 1)
    send(ada, packed([b"first", b"second"]))
    await heard(2, 2)
    pair = [b"first", b"second"]
    # Nothing was lost, so the earlier frame is not even unwrapped.
    assert sorted(made[3:]) == sorted([packed(pair), packed(pair, 109), b"second"])
    pass_over(ada)
    made.clear()
    triple = [b"second", b"third", b"fourth"]
    send(ada, packed(triple))
    await heard(4, 3)
    assert sorted(made) == sorted([packed(triple), packed(triple, 109), *triple])


async def test_a_sender_may_stop_using_it_at_any_time(call: Call) -> None:
    ada = await call.join("ada", dialect=SPEAKS)
    ben = await call.join("ben", dialect=SPEAKS)
    send(ada, packed([b"first"]))
    ada.send_audio(b"second")
    send(ada, packed([b"second", b"third"]))
    audio, _ = ben.seat(0)
    await until(lambda: len(ben.heard_on(audio)) == 3)
    assert [h.packet.payload_type for h in ben.heard_on(audio)] == [63, 111, 63]


async def test_what_was_said_before_somebody_begins_is_repeated_to_nobody(call: Call) -> None:
    """Neither what they said while they were muted, nor what another transport of theirs sent."""
    ada = await call.join("ada", dialect=SPEAKS)
    ben = await call.join("ben", dialect=SPEAKS)
    audio, _ = ben.seat(0)
    arrived = call.relay.transports["ada-1"].intake
    send(ada, packed([b"before"]))
    await until(lambda: ben.heard_on(audio))
    call.relay.set_published("ada", {PublishSource.MICROPHONE: False})
    send(ada, packed([b"before", b"secret"]))
    await until(lambda: arrived.packets == 2)
    call.relay.set_published("ada", {PublishSource.MICROPHONE: True})
    spoken = [b"before", b"secret", b"after", b"next", b"last"]
    for newest in (2, 3, 4):
        send(ada, packed(spoken[newest - 2 : newest + 1]))
    await until(lambda: len(ben.heard_on(audio)) == 4)
    assert [(h.packet.payload_type, h.packet.payload) for h in ben.heard_on(audio)] == [
        (63, packed([b"before"])),
        (111, b"after"),
        (111, b"next"),
        (63, packed([b"after", b"next", b"last"])),
    ]


async def test_blocks_of_another_format_are_dropped_and_counted(call: Call) -> None:
    ada = await call.join("ada", dialect=SPEAKS)
    ben = await call.join("ben", dialect=PLAIN)
    send(ada, packed([b"a", b"b"], payload_type=0))
    ada.send_audio(b"after")
    audio, _ = ben.seat(0)
    await until(lambda: ben.heard_on(audio))
    assert [h.content for h in ben.heard_on(audio)] == [b"after"]
    assert call.relay.transports["ada-1"].intake.drops.malformed == 1


async def test_the_answer_names_it_only_where_it_was_offered(call: Call) -> None:
    ada = await call.join("ada", dialect=SPEAKS)
    ben = await call.join("ben", dialect=PLAIN)
    # In the widget's own order, so that it sends plain Opus unless it prefers redundancy.
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n" in ada.answer
    assert ada.answer.count("a=fmtp:63 111/111\r\n") == 8
    assert "red/48000" not in ben.answer


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), st.integers(0, 3000))
def test_what_is_packed_is_found(blocks: list[bytes], step: int) -> None:
    payload = packed(blocks, step=step)
    view = memoryview(b"head" + payload)
    found = blocks_of(view, 4, len(view), 111)
    assert found is not None
    assert bytes(view[found.primary.start : found.primary.end]) == blocks[-1]
    assert [bytes(view[b.start : b.end]) for b in found.earlier] == blocks[:-1]
    if step:
        numbers = [n for n, _, _ in stand_ins(found, 1000, 0)]
        assert numbers == list(range(1001 - len(blocks), 1000))
    changed = renumbered(payload, found.headers, 4, 96)
    assert changed == packed(blocks, 96, step)


@given(
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5),
    st.integers(-6, 1),
    st.sampled_from([0, 0x80]),
)
def test_each_form_says_the_same_in_its_own_way(
    blocks: list[bytes], after: int, marker: int
) -> None:
    payload = packed(blocks)
    view = memoryview(b"head" + payload + b"tail")
    found = blocks_of(view, 4, 4 + len(payload), 111)
    assert found is not None
    forms = Forms(view, found, 1000, 0xFFFFFFFF, marker, 111, 7.0)
    newest = Packet(1000, 0xFFFFFFFF, marker, blocks[-1], None, 7.0)
    assert forms.wrapped(111).packets == (newest._replace(payload=payload),)
    assert forms.wrapped(96).packets == (newest._replace(payload=packed(blocks, 96)),)
    assert forms.newest().packets == (newest,)
    # Those that a receiver lacks, each in its own place.
    assert [frame.packets[0] for frame in forms.stand_ins(1000 + after)] == [
        Packet(1000 - back, 0xFFFFFFFF - 960 * back, 0, block, None, 7.0)
        for back, block in zip(range(len(blocks) - 1, 0, -1), blocks, strict=False)
        if back < -after
    ]
    assert forms.wrapped(96) is forms.wrapped(96)
    assert forms.newest() is forms.newest()


@given(st.binary(max_size=60))
def test_any_bytes_are_read_within_their_bounds(data: bytes) -> None:
    found = blocks_of(memoryview(data), 0, len(data), 111)
    if found is not None:
        for block in (*found.earlier, found.primary):
            assert 0 < block.start < block.end <= len(data)
