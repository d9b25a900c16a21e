"""Hostile packets: nothing raises out of the loop, nothing grows, no call is disturbed."""

from __future__ import annotations

import asyncio
import gc
import os
import struct

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from actors.relay import PublishSource, Relay, RelayConfig, TransportState
from actors.relay.network.dtls import Dtls, DtlsState
from actors.relay.network.identity import Identity
from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.wire import stun as relay_stun
from actors.relay.wire.h264 import starts_key_frame
from actors.relay.wire.rtcp import (
    nacked,
    parts_of,
    reports_of,
    sender_info,
    whole_pictures_wanted,
)
from actors.relay.wire.rtp import body_of, extension
from actors.relay.wire.vp8 import parse_vp8
from benchmarks.media.description import Dialect
from tests.patience import until

from .client import CraftedClient
from .conftest import Call
from .recording import RecordingListener
from .tap import Tap


class OpenSrtp(Srtp):
    """SRTP that believes everything, so that noise reaches what lies behind authentication."""

    def __init__(self) -> None:
        """Need no key."""

    def protect(self, buffer: Buffer, size: int) -> int:
        return size

    unprotect = protect_rtcp = unprotect_rtcp = protect


noise = st.binary(max_size=200)
rtp_like = st.tuples(
    st.integers(0x80, 0xBF), st.integers(0, 255), st.binary(min_size=6, max_size=6), noise
)


@given(noise)
def test_readers_take_any_bytes(data: bytes) -> None:
    view = memoryview(data)
    body = body_of(view, len(data))
    if body is not None:
        assert 0 <= body.payload <= body.payload_end <= len(data)
        for number in range(16):
            extension(view, body, number)
    parse_vp8(view, 0, len(data))
    starts_key_frame(view, 0, len(data))
    for part in parts_of(view):
        sender_info(part.body)
        list(reports_of(part.body, part.form, 4))
        list(nacked(part.body))
        list(whole_pictures_wanted(part.body))
    relay_stun.request_name(data)
    relay_stun.parse(data, b"password")
    relay_stun.unknown_attributes(data)


@given(st.binary(min_size=2, max_size=100))
def test_stun_with_a_proper_head_takes_any_attributes(attributes: bytes) -> None:
    head = struct.pack("!HHI12s", 1, len(attributes), 0x2112A442, bytes(12))
    relay_stun.request_name(head + attributes)
    relay_stun.parse(head + attributes, b"password")


@given(st.lists(noise, max_size=5))
@settings(max_examples=30)
def test_dtls_takes_any_bytes(datagrams: list[bytes]) -> None:
    dtls = Dtls(IDENTITY.context, {"sha-256": IDENTITY.fingerprint})
    for datagram in datagrams:
        dtls.receive(datagram)
        dtls.datagrams()
    assert dtls.state in (DtlsState.HANDSHAKING, DtlsState.FAILED)


IDENTITY = Identity()


@pytest.fixture
async def duo(call: Call) -> tuple[Call, CraftedClient, CraftedClient]:
    ada = await call.join("ada")
    ben = await call.join("ben")
    ada.send_audio(b"before")
    ada.send_frame(key=True, parts=(b"before",))
    await until(lambda: len(ben.heard) == 2)
    return call, ada, ben


@pytest.fixture
async def trio(
    duo: tuple[Call, CraftedClient, CraftedClient],
) -> tuple[Call, CraftedClient, CraftedClient, CraftedClient]:
    call, ada, ben = duo
    return call, ada, ben, await call.join("cy")


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # A call that is disturbed shows by waiting, which shrinking would do hundreds of times.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(packets=st.lists(rtp_like, min_size=1, max_size=8), known=st.integers(0, 3))
async def test_authentic_nonsense_changes_nothing_but_counters(
    trio: tuple[Call, CraftedClient, CraftedClient, CraftedClient],
    packets: list[tuple[int, int, bytes, bytes]],
    known: int,
) -> None:
    """RTP and RTCP of any content from somebody with the keys, while two others talk."""
    call, ada, ben, cy = trio
    for client in (ben, cy):
        client.heard.clear()
    transport = call.relay.transports["ada-1"]
    intake = transport.intake
    real = intake._inbound
    intake._inbound = OpenSrtp()
    buffer = Buffer()
    ssrcs = [t.ssrc for t in ada.tracks.values()] + [t.rtx_ssrc for t in ada.tracks.values()]
    slot_ssrcs = list(transport.slots_by_ssrc)
    try:
        for first, second, middle, rest in packets:
            rtp = bytes([first, second]) + middle + struct.pack("!I", ssrcs[known]) + rest
            buffer.view[: len(rtp)] = rtp
            intake.receive_rtp(buffer, len(rtp), 1.0)
            body = struct.pack("!II", 1, slot_ssrcs[known]) + rest
            body += bytes(-len(body) % 4)
            rtcp = struct.pack("!BBH", first, 192 + second % 32, len(body) // 4) + body
            buffer.view[: len(rtcp)] = rtcp
            intake.receive_rtcp(buffer, len(rtcp), 1.0)
    finally:
        intake._inbound = real
    assert len(intake.layers) <= 2
    assert len(intake.repairs) <= 1
    assert transport.state is TransportState.CONNECTED
    for talks, hears in ((ben, cy), (cy, ben)):
        index = next(
            index
            for (_, index), who in call.listener.occupants(hears.participant_id).items()
            if who == talks.participant_id
        )
        mids = hears.seat(index)
        talks.send_audio(b"a voice")
        talks.send_frame(key=True, parts=(b"a", b"picture"))
        await until(lambda: sum(len(hears.heard_on(mid)) for mid in mids) >= 3)  # noqa: B023
        heard = [each.content for mid in mids for each in hears.heard_on(mid)]
        assert heard == [b"a voice", b"a", b"picture"]
        assert hears.undecryptable == 0
    assert call.relay.mistakes == 0


async def test_an_ssrc_is_taken_once_per_layer_and_further_ones_are_dropped(
    duo: tuple[Call, CraftedClient, CraftedClient],
) -> None:
    call, ada, ben = duo
    track = ada.track(PublishSource.MICROPHONE)
    intake = call.relay.transports["ada-1"].intake
    before = intake.drops.unknown_ssrc
    for ssrc in range(5000, 5100):
        ada.send(ada.rtp(track, b"hijack", ssrc=ssrc))
    await until(lambda: intake.drops.unknown_ssrc == before + 100)
    assert len(intake.layers) == 2
    assert all(h.packet.payload != b"hijack" for h in ben.heard)


async def test_a_slots_ssrc_belongs_to_its_transport_only(
    duo: tuple[Call, CraftedClient, CraftedClient],
) -> None:
    """Mallory sends with the SSRC of Ada's microphone: it is Mallory's own, if anybody's."""
    call, ada, ben = duo
    mallory = await call.join("mallory")
    stolen = ada.track(PublishSource.MICROPHONE).ssrc
    mallory.send(mallory.rtp(mallory.track(PublishSource.MICROPHONE), b"as ada", ssrc=stolen))
    mallory.send_audio(b"as mallory")
    adas, _ = ben.seat(0)
    mallorys, _ = ben.seat(1)
    await until(lambda: any(h.content == b"as mallory" for h in ben.heard_on(mallorys)))
    assert all(h.content != b"as ada" for h in ben.heard)
    ada.send_audio(b"still ada")
    await until(lambda: any(h.content == b"still ada" for h in ben.heard_on(adas)))


async def test_an_oversize_packet_is_dropped_at_the_entry(
    duo: tuple[Call, CraftedClient, CraftedClient],
) -> None:
    call, ada, ben = duo
    track = ada.track(PublishSource.MICROPHONE)
    ada.send(ada.rtp(track, bytes(1290)))
    track.sequence = track.sequence + 1 & 0xFFFF
    ada.send_audio(b"after")
    audio, _ = ben.seat(0)
    await until(lambda: ben.heard_on(audio)[-1].content == b"after")
    assert call.relay.transports["ada-1"].intake.drops.oversize == 1
    assert len(ben.heard_on(audio)) == 2


async def test_bad_tags_and_replays_from_a_validated_address_are_counted(
    duo: tuple[Call, CraftedClient, CraftedClient],
) -> None:
    call, ada, ben = duo
    track = ada.track(PublishSource.MICROPHONE)
    good = ada.rtp(track, b"once")
    ada.send(good[:-1] + bytes([good[-1] ^ 1]))
    for _ in range(5):
        ada.send(good)
    drops = call.relay.transports["ada-1"].intake.drops
    audio, _ = ben.seat(0)
    await until(lambda: drops.unauthentic == 5 and len(ben.heard_on(audio)) > 1)
    assert [h.content for h in ben.heard_on(audio)] == [b"before", b"once"]


async def test_a_flood_from_strangers_loses_no_packet_of_the_call(
    duo: tuple[Call, CraftedClient, CraftedClient],
) -> None:
    call, ada, ben = duo
    mallory = CraftedClient(call.relay, "mallory")
    call.clients.append(mallory)
    await mallory.open()
    audio, _ = ben.seat(0)
    forged = ada.check(password="z" * 32)
    kinds = (forged, forged[:24] + b"?" + forged[25:], b"\x80\x60" + bytes(80), os.urandom(60))
    for index in range(1000):
        mallory.send(kinds[index % 4])
        if index % 10 == 0:
            count = len(ben.heard_on(audio))
            ada.send_audio(b"%d" % index)
            await until(lambda count=count: len(ben.heard_on(audio)) == count + 1)  # type: ignore[misc]
    assert len(ben.heard_on(audio)) == 101
    assert call.relay.transports.keys() == {"ada-1", "ben-1"}


async def test_every_resource_returns() -> None:
    """Descriptors, transports and names are where they were after many sessions."""

    async def session() -> None:
        relay = Relay(RelayConfig(), RecordingListener())
        await relay.open()
        clients = [CraftedClient(relay, name) for name in ("ada", "ben")]
        for client in clients:
            await client.connect()
        clients[0].send_audio()
        clients[0].send_frame(key=True)
        await until(lambda: len(clients[1].heard) == 2)
        await relay.close()
        await relay.close()
        for client in clients:
            client.vanish()
        assert relay.transports == {}
        assert relay.people == {}
        assert relay._reception.names == {}

    async def settled() -> int:
        await until(lambda: gc.collect() is not None)
        return len(os.listdir("/proc/self/fd"))

    def ours() -> int:
        return sum(
            str(type(thing).__module__).startswith("actors.relay") for thing in gc.get_objects()
        )

    await session()
    before = await settled()
    objects = ours()
    for _ in range(10):
        await session()
    assert await settled() <= before
    assert ours() <= objects


@pytest.mark.parametrize(("step", "lost"), [(30_000, 3), (2_900, 24)])
@pytest.mark.parametrize("source", [PublishSource.MICROPHONE, PublishSource.CAMERA])
async def test_numbers_left_out_harm_nobody_who_sits_in_the_seat_later(
    call: Call, source: PublishSource, step: int, lost: int
) -> None:
    """A receiver that misses 2¹⁵ numbers of an SSRC decrypts nothing of it any more (RFC 3711)."""
    ada, ben = await call.join("ada"), await call.join("ben", publish=(), seats=1)
    voice = source is PublishSource.MICROPHONE
    mid = ben.seat(0)[0 if voice else 1]
    tap = Tap(ben)
    tap.lose = set(range(2, 2 + lost))

    def send(client: CraftedClient, key: bool) -> None:
        if voice:
            client.send_audio(client.participant_id.encode())
        else:
            client.send_frame(key=key, parts=(client.participant_id.encode(),))

    track = ada.track(source)
    for number in range(lost + 6):
        send(ada, number == 0)
        track.sequence = track.sequence + step - 1 & 0xFFFF
        await until(lambda number=number: len(tap.seen) == number + 1)  # type: ignore[misc]
    eve = await call.join("eve")
    ada.close()
    await until(lambda: call.listener.occupants("ben").get(("seat", 0)) == "eve")
    await asyncio.sleep(0.35)
    for _ in range(3):
        send(eve, True)
    await until(lambda: [h.content for h in ben.heard_on(mid)].count(b"eve") >= 1)
    assert ben.undecryptable == 0


@pytest.mark.parametrize("wrong", ["oversize", "padding"])
async def test_an_ssrc_is_taken_once_whatever_else_is_wrong_with_its_packets(
    call: Call, wrong: str
) -> None:
    """libsrtp has state for each SSRC that it has authenticated, until the transport closes."""
    ada = await call.join("ada", dialect=Dialect(signals_ssrcs=False))
    track = ada.track(PublishSource.MICROPHONE)
    for ssrc in range(5000, 5100):
        packet = bytearray(track.packet(bytes(1290 if wrong == "oversize" else 20), 1, {}))
        packet[8:12] = ssrc.to_bytes(4, "big")
        if wrong == "padding":
            # What says so is encrypted: that there is none shows once it is read.
            packet[0] |= 0x20
        ada.send(ada.protect(bytes(packet)))
    intake = call.relay.transports["ada-1"].intake
    await until(lambda: intake.packets + intake.drops.unknown_ssrc == 100)
    assert (intake.packets, len(intake.layers)) == (1, 1)
    assert intake.drops.oversize + intake.drops.malformed == 1
