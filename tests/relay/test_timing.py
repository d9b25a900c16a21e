"""The times that the design names, with the shipped configuration, on a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from actors.relay import PublishSource, TransportState
from actors.relay.congestion.hold import Hold
from actors.relay.forwarding.outlet import Outlet
from actors.relay.forwarding.slot import Slot
from actors.relay.network.departures import Departures
from actors.relay.network.ice import Credentials, IceLite
from actors.relay.transport.probing import Probing
from actors.relay.wire.rtcp import Report, receiver_report
from benchmarks.shaper import Downlink
from tests.patience import until

from .camera import RIDS, Camera, shown
from .client import CraftedClient
from .conftest import Call
from .virtual_time import run_in_virtual_time


@asynccontextmanager
async def duo(
    rids: tuple[str, ...] = (),
) -> AsyncIterator[tuple[Call, CraftedClient, CraftedClient]]:
    call = Call(clock=asyncio.get_running_loop().time)
    await call.relay.open()
    try:
        yield call, await call.join("ada", rids=rids), await call.join("ben")
    finally:
        await call.close()


@asynccontextmanager
async def three_layers(size: tuple[int, int]) -> AsyncIterator[tuple[Call, CraftedClient]]:
    """Show Ada's camera of up to 1.4 Mbit/s in this size to Ben, who acknowledges it."""
    async with duo(RIDS) as (call, ada, ben):
        camera = Camera(ada, parts={"q": 1, "h": 2, "f": 6}, octets=1000, interval=1 / 30)
        ben.acknowledge()
        call.relay.set_view("ben-1", {0: size}, {})
        yield call, ben
        await camera.stop()


async def silence() -> None:
    loop = asyncio.get_running_loop()
    async with duo() as (call, ada, ben):
        ada.vanish()
        fell = loop.time()
        await until(
            lambda: call.listener.state_of("ada-1") is TransportState.RECONNECTING, within=20
        )
        assert 8 <= loop.time() - fell < 8.5
        # A place is kept for who may come back.
        assert "ada" in call.listener.occupants("ben").values()
        sent = call.relay.transports["ada-1"].outlet
        await until(lambda: call.listener.state_of("ada-1") is TransportState.CLOSED, within=40)
        assert 30 <= loop.time() - fell < 30.5
        before = sent.packets_sent
        ben.send_audio()
        ben.send_frame(key=True)
        await asyncio.sleep(1)
        assert sent.packets_sent == before
        assert not call.listener.occupants("ben")


def test_eight_seconds_of_silence_reconnect_and_thirty_close() -> None:
    run_in_virtual_time(silence())


async def noise_instead_of_a_voice() -> None:
    """Ada is gone; what still comes from her address proves nothing, and does not keep her."""
    loop = asyncio.get_running_loop()
    async with duo() as (call, ada, _):
        ada.stop_checking()
        ada.answers_checks = False
        good = ada.rtp(ada.track(PublishSource.MICROPHONE), b"once")
        fell = loop.time()
        while call.listener.state_of("ada-1") is TransportState.CONNECTED:
            assert loop.time() - fell < 20
            for noise in (
                good[:-1] + bytes([good[-1] ^ 1]),
                b"\x80\xc8\x00\x06" + bytes(60),
                b"\x17\xfe\xfd" + bytes(60),
                ada.check(password="z" * 32),
            ):
                ada.send(noise)
            await asyncio.sleep(0.5)
        assert 8 <= loop.time() - fell < 9
        # Anything of hers brings her back.
        ada.send(good)
        await until(lambda: call.listener.state_of("ada-1") is TransportState.CONNECTED)


def test_only_what_is_authentic_counts_as_life() -> None:
    run_in_virtual_time(noise_instead_of_a_voice())


async def probed(size: tuple[int, int]) -> tuple[float, int]:
    """Show three layers on a line for one and a half; return sent rate ÷ estimate, and probes."""
    loop = asyncio.get_running_loop()
    async with three_layers(size) as (call, ben):
        ben.downlink = Downlink(700_000, loss=0, delay=0.02)
        await asyncio.sleep(10)
        outlet = call.relay.transports["ben-1"].outlet
        _, video = ben.seat(0)
        repairs = len(ben.heard_on(video, repaired=True))
        shares = []
        for _ in range(40):
            before, now = outlet.octets_sent, loop.time()
            await asyncio.sleep(0.25)
            rate = 8 * (outlet.octets_sent - before) / (loop.time() - now)
            shares.append(rate / outlet.estimate.bitrate)
        repairs = len(ben.heard_on(video, repaired=True)) - repairs
    return sorted(shares)[len(shares) * 9 // 10], repairs


def test_probing_sends_little_more_than_the_estimate_and_only_for_a_higher_layer() -> None:
    share, probes = run_in_virtual_time(probed((1280, 720)))
    assert probes > 50
    assert share < 1.15
    _, probes = run_in_virtual_time(probed((320, 180)))
    assert probes == 0


async def lowered_after_a_cut() -> list[float]:
    """Narrow Ben's line again and again; return how long each cut was without a lower layer."""
    loop = asyncio.get_running_loop()
    waits = []
    async with three_layers((1280, 720)) as (call, ben):
        transport = call.relay.transports["ben-1"]
        _, slot = transport.seats[0]
        for turn in range(4):
            ben.downlink = None
            transport.estimate.bitrate = 5_000_000
            await until(lambda: shown(ben) == "f")
            # Never at the same moment of the relay's rounds.
            await asyncio.sleep(0.5 + 0.07 * turn)
            ben.downlink = Downlink(300_000, loss=0, delay=0.02)
            await until(lambda: transport.estimate.bitrate < 1_000_000)
            cut = loop.time()
            await until(lambda: slot.layer is not None and slot.layer.rid != "f")
            waits.append(loop.time() - cut)
    return waits


def test_a_cut_lowers_the_layer_at_once() -> None:
    """Not in the next quarter of a second, in which the voice would be lost with the picture."""
    waits = run_in_virtual_time(lowered_after_a_cut())
    # A tick of the relay and the publisher's next frame.
    assert max(waits) < 0.15, waits


async def told_of_layers() -> list[float]:
    """Let Ben look small, then large; return how long it took Ada's widget to be told."""
    loop = asyncio.get_running_loop()
    waits = []
    async with duo(RIDS) as (call, ada, _):
        camera = Camera(ada, interval=1 / 30)
        call.relay.set_view("ben-1", {0: (1280, 720)}, {})
        await asyncio.sleep(3)
        for size, needed in (((320, 180), {"q"}), ((1280, 720), {"q", "f"})):
            call.relay.set_view("ben-1", {0: size}, {})
            begun = loop.time()
            await until(lambda needed=needed: set(call.listener.layers[-1][2]) == needed)  # type: ignore[misc]
            waits.append(loop.time() - begun)
            await asyncio.sleep(1)
        await camera.stop()
    return waits


def test_layers_are_turned_off_after_two_seconds_and_on_at_once() -> None:
    off, on = run_in_virtual_time(told_of_layers())
    assert 2 <= off < 2.6
    assert on < 0.35


async def without_feedback() -> None:
    """Ben's browser knows no transport-wide numbers: REMB counts, and then loss in reports."""
    async with duo() as (call, ada, ben):
        ada.send_frame(key=True)
        await asyncio.sleep(0.1)
        ssrc, _ = ben.slots[ben.seat(0)[1]]
        estimate = call.relay.transports["ben-1"].estimate
        # A megabit (draft-alvestrand-rmcat-remb-03 §2.2): 250,000 times two to the second.
        body = (
            bytes(8)
            + b"REMB"
            + bytes([1, 2 << 2 | 250_000 >> 16])
            + (250_000 & 0xFFFF).to_bytes(2, "big")
        )
        ben.send_rtcp(b"\x8f\xce\x00\x05" + body + ssrc.to_bytes(4, "big"))
        await asyncio.sleep(0.1)
        assert estimate.bitrate == 1_000_000
        before = estimate.bitrate
        ben.send_rtcp(receiver_report(1, [Report(ssrc, 64, 1, 1, 0, 0, 0)]))
        await asyncio.sleep(0.1)
        assert estimate.bitrate < before


def test_without_transport_feedback_reported_loss_counts() -> None:
    run_in_virtual_time(without_feedback())


async def through_a_tunnel(seconds: float, pictures: int) -> None:
    """Let Ben hear and say nothing for a while in which Ada sends; then he is back.

    Beside each 20 ms of her voice go so many packets of pictures.
    """
    async with duo() as (call, ada, ben):
        audio, video = ben.seat(0)

        async def speak(seconds: float) -> None:
            for _ in range(round(seconds / 0.02)):
                ada.send_audio(b"voice")
                if pictures:
                    ada.send_frame(parts=(b"",) * pictures)
                await asyncio.sleep(0.02)

        ada.send_frame(key=True)
        await speak(0.1)
        ben.stop_checking()
        ben.raw_received = lambda data: True
        await speak(8.5)
        outlet = call.relay.transports["ben-1"].outlet
        sent = outlet.packets_sent
        await speak(seconds - 8.5)
        assert outlet.packets_sent == sent
        ben.raw_received = None
        ben.heard.clear()
        asked = len(ada.key_frame_requests)
        ben.keep_checking()
        await speak(0.5)
        assert len(ben.heard_on(audio)) > 20
        # What a picture would refer to has gone by meanwhile.
        assert len(ada.key_frame_requests) > asked
        ada.send_frame(parts=(b"of what was missed",))
        ada.send_frame(key=True, parts=(b"fresh",))
        await asyncio.sleep(0.1)
        assert [each.content for each in ben.heard_on(video)] == [b"fresh"]
        assert ben.undecryptable == 0


def test_who_is_not_heard_is_sent_nothing_and_goes_on_with_what_is_fresh() -> None:
    run_in_virtual_time(through_a_tunnel(12, pictures=0))


@pytest.mark.soak
def test_no_publisher_breaks_the_numbers_of_who_hears_nothing_for_a_while() -> None:
    """2¹⁵ packets of one SSRC that its receiver misses are never made good (RFC 3711 §3.3.1)."""
    run_in_virtual_time(through_a_tunnel(25, pictures=36))


def test_probes_fill_the_line_to_fifteen_percent_beyond_its_estimate_and_no_further() -> None:
    """A packet too many in each tick would be twenty."""
    outlet = Outlet(
        IceLite(Credentials.fresh("ufrag", "password"), 8, 20, 100), Departures(), "name"
    )
    estimate = outlet.estimate
    estimate.bitrate = 700_000
    now = 100.0

    def send(back: int, at: float) -> None:
        outlet.octets_sent += 1_040

    slot = SimpleNamespace(
        video=True, layer=object(), hold=Hold(), repairs=SimpleNamespace(probe=send)
    )
    probing = Probing(outlet, now)
    for tick in range(1, 201):
        now = 100.0 + 0.05 * tick
        estimate.feedback((), now)
        if tick % 40 == 20:
            # A key frame, which takes 0.15 s of the line.
            outlet.octets_sent += 15_000
        probing.tick([cast(Slot, slot)], starved=True, now=now)
    limit = 1.15 * 700_000 / 8 * 10
    assert 0.97 * limit < outlet.octets_sent <= limit + 1_040


async def a_line_dead_in_one_direction() -> None:
    """Let nothing reach Ben, who sends on; then let everything reach him again."""
    loop = asyncio.get_running_loop()
    async with duo() as (call, ada, ben):
        audio, video = ben.seat(0)
        adas, _ = ada.seat(0)

        async def speak(seconds: float) -> None:
            for _ in range(round(seconds / 0.02)):
                for client in (ada, ben):
                    client.send_audio(client.participant_id.encode())
                await asyncio.sleep(0.02)

        ben.acknowledge()
        ada.send_frame(key=True)
        await speak(4)
        ben.raw_received = lambda data: True
        dead = loop.time()
        while call.listener.state_of("ben-1") is TransportState.CONNECTED:
            await speak(0.1)
        assert 8 <= loop.time() - dead < 12
        outlet = call.relay.transports["ben-1"].outlet
        sent, heard = outlet.packets_sent, len(ada.heard_on(adas))
        await speak(40)
        # He is heard all the while, is sent nothing that he would miss, and is not given up.
        assert outlet.packets_sent == sent
        assert len(ada.heard_on(adas)) - heard == 2000
        assert call.listener.state_of("ben-1") is TransportState.RECONNECTING
        ben.raw_received = None
        ben.heard.clear()
        asked = len(ada.key_frame_requests)
        back = loop.time()
        while call.listener.state_of("ben-1") is not TransportState.CONNECTED:
            await speak(0.1)
        assert loop.time() - back < 2.5
        await speak(0.2)
        assert len(ada.key_frame_requests) > asked
        ada.send_frame(key=True, parts=(b"fresh",))
        await speak(0.2)
        assert [each.content for each in ben.heard_on(video)] == [b"fresh"]
        assert {each.content for each in ben.heard_on(audio)} == {b"ada"}
        assert ben.undecryptable == 0


def test_who_is_heard_and_hears_nothing_is_sent_nothing_either() -> None:
    run_in_virtual_time(a_line_dead_in_one_direction())


async def no_answer_to_checks() -> None:
    async with duo() as (call, _, _):
        cy = CraftedClient(call.relay, "cy")
        cy.answers_checks = False
        call.clients.append(cy)
        await cy.connect()
        # He has answered none, so that not answering says nothing of his line.
        await asyncio.sleep(20)
        assert cy.checks_received > 5
        assert call.listener.state_of("cy-1") is TransportState.CONNECTED


def test_a_browser_that_answers_no_checks_of_a_lite_agent_is_taken_to_hear() -> None:
    run_in_virtual_time(no_answer_to_checks())
