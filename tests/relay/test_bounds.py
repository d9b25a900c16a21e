"""What one peer may cost: every bound of the design, met by a peer who passes it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import partial

import pytest

from actors.relay import RelayConfig, TransportState
from actors.relay.budget import Budget
from actors.relay.forwarding.repairs import Repairs
from actors.relay.network import mmsg
from actors.relay.network.dtls import Dtls
from actors.relay.wire import stun
from actors.relay.wire.rtcp import negative_acknowledgement, receiver_report
from benchmarks.media.description import Dialect
from benchmarks.shaper import Downlink
from broker.errors import ErrorCode, TooFast
from tests.patience import PATIENCE, until

from .client import CraftedClient
from .conftest import Call, StartCall, call_in_virtual_time
from .tap import Tap, either


def stray() -> socket.socket:
    """Open a socket of nobody's."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    return opened


@pytest.mark.parametrize("connected", [True, False])
async def test_dtls_noise_of_a_validated_address_is_bounded_and_counted(
    start_call: StartCall, monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    """Whoever knows a caller's address can forge it; OpenSSL sees so much of it and no more."""
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    if connected:
        await ada.connect()
        ada.stop_checking()
    else:
        await ada.open()
        ada.negotiate()
        ada.send_check()
    await until(lambda: ada.checks_answered)
    seen: list[int] = []
    receive = Dtls.receive

    def counted(dtls: Dtls, datagram: bytes) -> None:
        seen.append(len(datagram))
        receive(dtls, datagram)

    monkeypatch.setattr(Dtls, "receive", counted)
    moment += 1.0
    drops = call.relay.transports["ada-1"].intake.drops
    for _ in range(200):
        ada.send(b"\x17\xfe\xfd" + os.urandom(60))
    await until(lambda: len(seen) + drops.excess == 200)
    assert len(seen) == RelayConfig().dtls_datagrams_per_second == 50
    # A second later the peer is heard again.
    moment += 1.0
    if connected:
        ada.close()
        await until(lambda: call.listener.state_of("ada-1") is TransportState.CLOSED)
    else:
        await ada.associate(10.0 * PATIENCE)
        await until(lambda: call.listener.state_of("ada-1") is TransportState.CONNECTED)


async def test_a_name_is_looked_up_before_any_proof_and_twenty_bad_proofs_are_looked_at(
    start_call: StartCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada = await call.join("ada")
    ada.stop_checking()
    proved: list[bytes] = []
    parse = stun.parse

    def counted(data: bytes, password: bytes) -> object:
        proved.append(data)
        return parse(data, password)

    monkeypatch.setattr(stun, "parse", counted)
    forged = ada.check(password="z" * 32)
    name = ada.remote.ufrag.encode()
    unknown = forged.replace(name, bytes(reversed(name)))
    before = call.relay.dropped_strangers
    with stray() as stranger:
        for _ in range(100):
            stranger.sendto(unknown, ("127.0.0.1", call.relay.port))
        await until(lambda: call.relay.dropped_strangers == before + 100)
        assert unknown not in proved
        moment += 1.0
        drops = call.relay.transports["ada-1"].intake.drops
        for _ in range(100):
            stranger.sendto(forged, ("127.0.0.1", call.relay.port))
        await until(lambda: drops.unproved == 100)
    assert proved.count(forged) == 20


async def forged_nomination(call: Call) -> int:
    """Let Ben nominate an address that is not his for half a minute; return what arrives there."""
    ben = await call.join("ben")
    # His own next nomination would end it.
    ben.nominates = False
    with stray() as victim:
        victim.setblocking(False)
        victim.sendto(ben.check(nominate=True), ("127.0.0.1", call.relay.port))
        await asyncio.sleep(30)
        arrived = 0
        while True:
            try:
                assert victim.recv(2048)[0] < 2
            except BlockingIOError:
                break
            arrived += 1
    return arrived


def test_a_victim_of_a_forged_nomination_gets_one_answer_and_twenty_checks() -> None:
    assert call_in_virtual_time(forged_nomination) == 21


async def test_a_wake_up_takes_a_bounded_number_of_datagrams(call: Call) -> None:
    """So that signalling lives beside a flood."""
    (bound,) = call.relay.sockets
    with stray() as stranger:
        for _ in range(100):
            stranger.sendto(bytes([200]) * 20, ("127.0.0.1", call.relay.port))
    # Nothing was awaited, so the loop has not looked at the socket yet.
    call.relay._reception.wake(bound)
    assert call.relay.dropped_strangers == RelayConfig().drain == 32
    await until(lambda: call.relay.dropped_strangers == 100)


async def test_a_peer_reports_as_so_many_senders_and_no_more(call: Call) -> None:
    ada = await call.join("ada")
    intake = call.relay.transports["ada-1"].intake
    for sender in range(1, 101):
        ada.send_rtcp(receiver_report(sender, ()))
    await until(lambda: intake.drops.unknown_ssrc == 36)
    assert intake.packets == 64
    # Those that are known go on.
    ada.send_rtcp(receiver_report(1, ()))
    await until(lambda: intake.packets == 65)


async def test_of_feedback_and_of_requests_for_repairs_so_many_a_second_are_looked_at(
    start_call: StartCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ben = await call.join("ben")
    transport = call.relay.transports["ben-1"]
    feedback: list[float] = []
    asked: list[int] = []
    monkeypatch.setattr(
        type(transport.estimate), "feedback", lambda _, arrivals, now: feedback.append(now)
    )
    monkeypatch.setattr(Repairs, "resend", lambda _, number, now: asked.append(number))
    moment += 1.0
    before = transport.intake.packets
    ssrc, _ = ben.slots[ben.seat(0)[1]]
    message = (
        b"\x8f\xcd\x00\x05"
        + bytes(4)
        + ssrc.to_bytes(4, "big")
        + bytes([0, 1, 0, 1, 0, 0, 0, 0, 0x20, 1, 0, 0])
    )
    for _ in range(120):
        ben.send_rtcp(message)
    for _ in range(10):
        ben.send_rtcp(negative_acknowledgement(1, ssrc, list(range(300))))
    await until(lambda: transport.intake.packets == before + 130)
    assert len(feedback) == 20
    assert len(asked) == 1000
    # What comes back of it comes evenly: none holds the others' packets up for long.
    moment += 0.2
    for _ in range(120):
        ben.send_rtcp(message)
    await until(lambda: transport.intake.packets == before + 250)
    assert 29 <= len(feedback) <= 30


async def repaired_in_a_storm(
    call: Call, bitrate: float, seconds: float, dialect: Dialect | None
) -> int:
    """Let Ben ask for everything again without end; return how many bytes he is given."""
    loop = asyncio.get_running_loop()
    ada, ben = await call.join("ada"), await call.join("ben", dialect=dialect)
    tap = Tap(ben)
    _, video = ben.seat(0)
    transport = call.relay.transports["ben-1"]
    transport.estimate.bitrate = bitrate
    # What the line does not carry would be held back.
    interval = max(0.05, 2 * 900 * 8 / bitrate)
    ada.send_frame(key=True, parts=(bytes(900),))
    until_then = loop.time() + seconds
    while loop.time() < until_then:
        ada.send_frame(parts=(bytes(900),) * 2)
        await asyncio.sleep(interval)
        numbers = [h.packet.sequence_number for h in ben.heard_on(video)[-10:]]
        ben.send_rtcp(negative_acknowledgement(1, ben.slots[video][0], numbers))
    ssrc, _ = ben.slots[video]
    assert transport.slots_by_ssrc[ssrc].repairs.refused > 0
    return sum(map(len, tap.beyond_first_copies(ssrc)))


@either
def test_repairs_get_a_fifth_of_the_estimate(dialect: Dialect | None) -> None:
    """A burst of 24 kB beside it; the share follows the estimate, wherever that goes."""
    for bitrate in (100_000, 400_000):
        given = call_in_virtual_time(
            partial(repaired_in_a_storm, bitrate=bitrate, seconds=20.0, dialect=dialect)
        )
        share = 0.2 * bitrate / 8 * 20
        assert 0.9 * share < given < 1.1 * share + 24_000


async def much_asked_for_at_once(call: Call, dialect: Dialect | None) -> tuple[int, int, int, int]:
    """Let Ben, on half a megabit, ask for 48 packets again at once while Ada speaks.

    Returns how much of the voice was lost, how many repairs came, the most bytes within three
    steps of 20 ms, and how many repairs were given up.
    """
    ada, ben = await call.join("ada"), await call.join("ben", dialect=dialect)
    voice, video = ben.seat(0)
    outlet = call.relay.transports["ben-1"].outlet
    outlet.estimate.bitrate = 500_000
    ada.send_frame(key=True, parts=(bytes(990),) * 48)
    await until(lambda: len(ben.heard_on(video)) == 48)
    # The share is that of this estimate by now.
    await asyncio.sleep(0.1)
    ben.downlink = Downlink(500_000, loss=0, delay=0.02)
    numbers = [heard.packet.sequence_number for heard in ben.heard_on(video)]
    ssrc, _ = ben.slots[video]
    left: list[int] = []
    for step in range(50):
        if step == 5:
            ben.send_rtcp(negative_acknowledgement(1, ssrc, numbers))
        ada.send_audio()
        before = outlet.octets_sent
        await asyncio.sleep(0.02)
        left.append(outlet.octets_sent - before)
    await asyncio.sleep(0.5)
    repairs = call.relay.transports["ben-1"].slots_by_ssrc[ssrc].repairs
    most = max(sum(left[i : i + 3]) for i in range(len(left)))
    return 50 - len(ben.heard_on(voice)), repairs.sent, most, repairs.refused


@either
def test_repairs_are_paced_and_those_too_late_are_dropped(dialect: Dialect | None) -> None:
    """All at once they would fill the line's queue of 200 ms, and the voice would go with them."""
    lost, repairs, most, refused = call_in_virtual_time(
        partial(much_asked_for_at_once, dialect=dialect)
    )
    assert lost == 0
    # 24 kB, and the fifth of half a second.
    assert 24 <= repairs <= 34
    assert repairs + refused == 48
    # A twentieth of a second of this line and what it carries in 60 ms are 6,900 bytes.
    assert most < 9_000


async def asked_late(call: Call, dialect: Dialect | None) -> int:
    """Ask for a packet after a second; return how many repairs come."""
    ada, ben = await call.join("ada"), await call.join("ben", dialect=dialect)
    tap = Tap(ben)
    _, video = ben.seat(0)
    ada.send_frame(key=True, parts=(b"old",))
    for wait in (0.9, 0.2):
        await asyncio.sleep(wait)
        number = ben.heard_on(video)[0].packet.sequence_number
        ben.send_rtcp(negative_acknowledgement(1, ben.slots[video][0], [number]))
    await asyncio.sleep(0.2)
    return len(tap.beyond_first_copies(ben.slots[video][0]))


@either
def test_nothing_older_than_a_second_is_repaired(dialect: Dialect | None) -> None:
    assert call_in_virtual_time(partial(asked_late, dialect=dialect)) == 1


async def test_a_send_that_would_block_is_dropped_counted_and_not_queued(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    ada.send_audio(b"before")
    await until(lambda: ben.heard_on(audio))
    send = mmsg.Outgoing.send
    monkeypatch.setattr(mmsg.Outgoing, "send", lambda *_: -errno.EAGAIN)
    intake = call.relay.transports["ada-1"].intake
    for number in range(3):
        count = intake.packets
        ada.send_audio(b"blocked %d" % number)
        await until(lambda count=count: intake.packets > count)  # type: ignore[misc]
    monkeypatch.setattr(mmsg.Outgoing, "send", send)
    ada.send_audio(b"after")
    await until(lambda: len(ben.heard_on(audio)) == 2)
    assert [h.content for h in ben.heard_on(audio)] == [b"before", b"after"]
    drops = call.relay.snapshot()["drops"]
    assert isinstance(drops, dict)
    assert drops["sends_blocked"] == 3


async def test_an_error_for_one_subscriber_skips_no_other(call: Call) -> None:
    """libsrtp refuses what it takes for a repetition; the address of another is forbidden."""
    ada = await call.join("ada")
    others = {name: await call.join(name) for name in ("ben", "cy", "dee")}
    ada.send_audio(b"first")
    ada.send_frame(key=True, parts=(b"first",))
    await until(lambda: all(len(client.heard) == 2 for client in others.values()))
    for slot in call.relay.transports["ben-1"].slots_by_ssrc.values():
        slot.numbering.offset -= 1
    selected = call.relay.transports["cy-1"].ice.selected
    assert selected is not None
    # Which is not permitted without SO_BROADCAST.
    selected.endpoint = ("255.255.255.255", 9)
    selected.name = selected.socket.name_of(selected.endpoint)
    ada.send_audio(b"second")
    ada.send_frame(parts=(b"second", b"third"))
    dee = others["dee"]
    await until(lambda: len(dee.heard) == 5)
    assert call.relay.transports["ben-1"].outlet.refused_sends == 2
    drops = call.relay.snapshot()["drops"]
    assert isinstance(drops, dict)
    # A report may have been due there meanwhile, too.
    assert isinstance(drops["sends_failed"], int)
    assert drops["sends_failed"] >= 3
    assert drops["mistakes"] == 0


async def test_nothing_is_sent_to_a_candidate_that_an_offer_names(call: Call) -> None:
    with stray() as victim:
        victim.setblocking(False)
        ada = CraftedClient(call.relay, "ada")
        call.clients.append(ada)
        port = victim.getsockname()[1]
        offered = ada.offer()
        lines = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\na=end-of-candidates"
        ada.offer = lambda: offered.replace(  # type: ignore[method-assign]
            "a=rtcp-mux", f"a=rtcp-mux\r\n{lines}"
        )
        assert lines in ada.offer()
        await ada.connect()
        ada.send_audio()
        intake = call.relay.transports["ada-1"].intake
        await until(lambda: intake.packets)
        with pytest.raises(BlockingIOError):
            victim.recv(2048)


def test_a_budget_comes_back_evenly() -> None:
    budget = Budget(rate=4, burst=2)
    assert budget.take(2, 10.0)
    assert not budget.has(1, 10.2)
    assert budget.take(1, 10.3)
    assert not budget.take(1, 10.4)
    # However long the pause.
    assert not budget.take(3, 100.0)
    assert budget.has(2, 100.0)
    budget.spend(2)
    assert not budget.has(1, 100.0)


def test_the_limits_that_ship_are_the_designs() -> None:
    config = RelayConfig()
    assert config.max_addresses == 8
    assert config.max_rtp_bytes == 1300
    assert config.handshake_seconds == 10
    assert config.key_frame_interval == 0.5
    assert config.report_interval <= 1
    assert config.feedback_interval == 0.1
    assert config.receive_buffer_bytes == 2 * 1024 * 1024


async def test_offers_without_end_keep_what_a_transport_holds_within_bounds(call: Call) -> None:
    """Sections are given up and offered anew: what was published on them goes with them."""
    most = call.relay.config.max_publications
    ada, ben = await call.join("ada"), await call.join("ben", publish=())
    transport = call.relay.transports["ada-1"]
    audio, _ = ben.seat(0)
    # Two at first, and two more with each offer.
    answered = (most - 2) // 2
    for turn in range(answered):
        ada.publish_anew()
        ada.negotiate()
        for _ in range(3):
            ada.send_audio(b"%d" % turn)
            ada.send_frame(key=True)
        await until(
            lambda turn=turn: b"%d" % turn in [each.content for each in ben.heard_on(audio)]  # type: ignore[misc]
        )
        intake = transport.intake
        assert len(transport.publications) == len(intake.layers) == 2
        assert len(intake.signalled) <= 3
        assert all(slot.publication is not None for slot in call.relay.transports["ben-1"].seats[0])
    for _ in range(answered, 200):
        ada.publish_anew()
        with pytest.raises(TooFast) as refused:
            ada.negotiate()
        assert (refused.value.code, refused.value.retryable) == (ErrorCode.RATE_LIMITED, True)
    assert (transport.published, len(transport.publications)) == (most, 2)
    assert ben.undecryptable == 0
