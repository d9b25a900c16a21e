"""Repairs for who has no RTX: the very bytes that left, within bounds (design-media §1)."""

from __future__ import annotations

import asyncio
import random

import pytest

from actors.relay import PublishSource
from actors.relay.congestion.estimate import Estimate
from actors.relay.forwarding.protected import MOST_OCTETS, MOST_PACKETS, MOST_SECONDS, Protected
from actors.relay.forwarding.slot import Slot
from actors.relay.wire.rtcp import negative_acknowledgement
from benchmarks.media.description import Dialect
from tests.patience import until

from .camera import RIDS, Camera
from .client import CraftedClient
from .conftest import Call, call_in_virtual_time
from .tap import WITHOUT_RTX, Tap


def sequence_of(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")


def ask(client: CraftedClient, mid: str, *sequences: int) -> None:
    message = negative_acknowledgement(1, client.slots[mid][0], sorted(sequences))
    client.send_rtcp(message)


def slot_of(call: Call, client: CraftedClient, mid: str) -> Slot:
    return call.relay.transports[client.transport_id].slots_by_ssrc[client.slots[mid][0]]


async def test_what_was_missed_comes_again_byte_for_byte(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben", dialect=WITHOUT_RTX)
    _, video = ben.seat(0)
    tap = Tap(ben)
    tap.lose = {1}
    ada.send_frame(key=True, parts=(b"one", b"two", b"three"))
    await until(lambda: len(tap.seen) == 3)
    ask(ben, video, sequence_of(tap.lost[0]))
    await until(lambda: len(ben.heard_on(video)) == 3)
    assert tap.seen[3:] == tap.lost
    heard = sorted(ben.heard_on(video), key=lambda h: h.packet.sequence_number)
    assert [h.content for h in heard] == [b"one", b"two", b"three"]
    assert ben.undecryptable == 0


async def test_what_left_before_the_sequence_wrapped_comes_again_after(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben", dialect=WITHOUT_RTX)
    _, video = ben.seat(0)
    slot_of(call, ben, video).numbering.next_sequence = 0xFFFD
    tap = Tap(ben)
    tap.lose = {2}
    for number in range(6):
        ada.send_frame(key=number == 0, parts=(b"%d" % number,))
    await until(lambda: len(tap.seen) == 6)
    assert [sequence_of(data) for data in tap.seen] == [0xFFFD, 0xFFFE, 0xFFFF, 0, 1, 2]
    ask(ben, video, 0xFFFF)
    await until(lambda: len(ben.heard_on(video)) == 6)
    assert ben.undecryptable == 0


async def test_it_does_not_come_twice_within_a_round_trip(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben", dialect=WITHOUT_RTX)
    _, video = ben.seat(0)
    tap = Tap(ben)
    ada.send_frame(key=True, parts=(b"one", b"two"))
    await until(lambda: len(tap.seen) == 2)
    first, second = map(sequence_of, tap.seen)
    slot_of(call, ben, video).round_trip = 30.0
    for _ in range(5):
        ask(ben, video, first)
    ask(ben, video, second)
    await until(lambda: len(tap.repeated) >= 2)
    assert tap.repeated == tap.seen[:2]


async def a_restless_call(call: Call) -> None:
    """Layers change, the sequence wraps, a tenth is lost and asked for."""
    ada = await call.join("ada", rids=RIDS)
    ben = await call.join("ben", dialect=WITHOUT_RTX)
    _, video = ben.seat(0)
    tap = Tap(ben)
    tap.loss = 0.1
    slot_of(call, ben, video).numbering.next_sequence = 0xFF00
    camera = Camera(ada, parts={"q": 2, "h": 3, "f": 4}, interval=1 / 30)
    for step in range(160):
        ada.send_audio()
        call.relay.set_view("ben-1", {0: ((320, 180), (1280, 720))[step // 20 % 2]}, {})
        missing = set(tap.lost) - set(tap.repeated)
        for ssrc in {data[8:12] for data in missing}:
            numbers = sorted(sequence_of(data) for data in missing if data[8:12] == ssrc)
            ben.send_rtcp(negative_acknowledgement(1, int.from_bytes(ssrc, "big"), numbers))
        await asyncio.sleep(0.05)
    await camera.stop()
    packets: dict[tuple[bytes, bytes], set[bytes]] = {}
    for data in tap.seen:
        packets.setdefault((data[8:12], data[2:4]), set()).add(data)
    # Seven hundred packets are far less than a whole cycle.
    assert len(packets) > 500
    assert [variants for variants in packets.values() if len(variants) > 1] == []
    assert len(tap.repeated) > 20
    assert any(sequence_of(data) > 0xFF00 for data in tap.repeated)
    assert any(sequence_of(data) < 0x1000 for data in tap.repeated)
    assert ben.undecryptable == 0


def test_no_number_is_ever_used_for_other_bytes() -> None:
    call_in_virtual_time(a_restless_call)


async def test_what_was_sent_goes_with_its_layer_and_with_its_transport(call: Call) -> None:
    ada = await call.join("ada", rids=RIDS)
    ben = await call.join("ben", dialect=WITHOUT_RTX)
    _, video = ben.seat(0)
    slot = slot_of(call, ben, video)
    tap = Tap(ben)
    ada.send_frame(key=True, rid="q", parts=(b"low",))
    await until(lambda: len(tap.seen) == 1)
    former = slot.repairs.protected
    assert former is not None
    assert len(former) == 1
    layer = slot.layer
    call.relay.set_published("ada", {PublishSource.CAMERA: False})
    assert slot.repairs.protected is None
    call.relay.set_published("ada", {PublishSource.CAMERA: True})
    ask(ben, video, sequence_of(tap.seen[0]))
    ada.send_frame(key=True, rid="q", parts=(b"again",))
    await until(lambda: len(tap.seen) == 2)
    assert tap.repeated == []
    assert slot.layer is layer
    assert slot.repairs.protected is not None
    call.relay.close_transport("ben-1")
    assert slot.repairs.protected is None
    later = await call.join("ben", "ben-2", dialect=WITHOUT_RTX)
    assert not set(later.slots.values()) & set(ben.slots.values())


async def test_nothing_is_kept_of_what_goes_to_who_has_rtx(call: Call) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_frame(key=True)
    ada.send_audio()
    await until(lambda: len(ben.heard) == 2)
    for mid in ben.seat(0):
        slot = slot_of(call, ben, mid)
        assert slot.layer is not None
        assert slot.repairs.protected is None
        # Not even a question is asked on the packet's way.
        assert slot.leave == slot.outlet.departures.add


async def test_a_voice_is_resent_to_who_offered_to_ask_for_it(call: Call) -> None:
    """Browsers do not: their voice is repaired by in-band FEC, for which nobody need ask."""
    ada = await call.join("ada")
    asking = await call.join("ben", dialect=Dialect(opus_feedback=("transport-cc", "nack")))
    usual = await call.join("cy")
    taps = [Tap(asking), Tap(usual)]
    audio, _ = asking.seat(0)
    assert "a=rtcp-fb:111 nack" in asking.answer
    assert "a=rtcp-fb:111 nack" not in usual.answer
    ada.send_audio(b"word")
    await until(lambda: all(tap.seen for tap in taps))
    for client, tap in zip((asking, usual), taps, strict=True):
        ask(client, audio, sequence_of(tap.seen[0]))
    await until(lambda: taps[0].repeated)
    ada.send_audio(b"more")
    await until(lambda: len(taps[1].seen) > 1)
    assert taps[1].repeated == []
    assert slot_of(call, usual, audio).repairs.protected is None


async def test_what_is_resent_was_sent_when_it_was_resent(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is the first copy's; by that one's time the line would seem to hold it back."""
    noted: list[tuple[int, float]] = []
    sent = Estimate.sent

    def recorded(estimate: Estimate, number: int, octets: int, now: float) -> None:
        noted.append((number, now))
        sent(estimate, number, octets, now)

    ada, ben = await call.join("ada"), await call.join("ben", dialect=WITHOUT_RTX)
    _, video = ben.seat(0)
    tap = Tap(ben)
    ada.send_frame(key=True)
    await until(lambda: ben.heard_on(video))
    monkeypatch.setattr(Estimate, "sent", recorded)
    packet = ben.heard_on(video)[0].packet
    begun = asyncio.get_running_loop().time()
    ask(ben, video, packet.sequence_number)
    await until(lambda: tap.repeated)
    ((number, at),) = noted
    assert number == packet.extensions.transport_sequence_number
    assert at >= begun


def packet(sequence: int, size: int = 100) -> bytes:
    return b"\x90\x60" + (sequence & 0xFFFF).to_bytes(2, "big") + bytes(size - 4)


def test_it_keeps_so_many_packets() -> None:
    protected = Protected()
    for sequence in range(0xFE00, 0xFE00 + 3 * MOST_PACKETS):
        protected.keep(packet(sequence), None, 1.0)
        assert len(protected) <= MOST_PACKETS
    assert len(protected) == MOST_PACKETS
    newest = 0xFE00 + 3 * MOST_PACKETS - 1
    assert protected.find(newest & 0xFFFF, 1.0) is not None
    assert protected.find(newest - MOST_PACKETS + 1 & 0xFFFF, 1.0) is not None
    assert protected.find(newest - MOST_PACKETS & 0xFFFF, 1.0) is None


def test_it_keeps_so_many_bytes() -> None:
    protected = Protected()
    kept: list[int] = []
    noise = random.Random(1)
    for sequence in range(2000):
        size = noise.randrange(600, 1300)
        protected.keep(packet(sequence, size), None, 1.0)
        kept.append(size)
        assert protected.octets == sum(kept[len(kept) - len(protected) :]) <= MOST_OCTETS
    assert protected.octets > MOST_OCTETS - 1300


def test_it_keeps_them_for_a_second() -> None:
    protected = Protected()
    for step in range(30):
        # Eighths of a second, which floats hold exactly.
        protected.keep(packet(step), step, step / 8)
    found = [step for step in range(30) if protected.find(step, 29 / 8) is not None]
    assert found == list(range(29 - int(8 * MOST_SECONDS), 30))
    assert len(protected) == len(found)
    assert protected.find(29, 30 / 8 + MOST_SECONDS) is None
