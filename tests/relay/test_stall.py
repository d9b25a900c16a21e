"""A process that stood still is silent until it knows that its session is still its own."""

from __future__ import annotations

import asyncio
from functools import partial

from actors.ledger.policy import LedgerPolicy
from actors.relay import PublishSource
from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.network.stall import Stall
from actors.relay.wire.rtcp import negative_acknowledgement
from actors.session import tenure
from actors.session.config import SessionConfig
from benchmarks.media.description import Dialect
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, call_in_virtual_time
from .virtual_time import VirtualTimeLoop

LIMIT = 1.0
PACKETS = 66


def whatever_comes_to(*clients: CraftedClient) -> list[bytes]:
    """Collect what these are sent from now on, be it media, feedback, checks or goodbyes."""
    sent: list[bytes] = []

    def take(data: bytes) -> bool:
        sent.append(data)
        return False

    for client in clients:
        client.raw_received = take
    return sent


async def stand_still(call: Call, seconds: float) -> tuple[CraftedClient, list[bytes]]:
    """Stop a call for so long, while Ada goes on talking and Ben asks for whatever makes one speak.

    Returns Ben, and what is sent to either from then on.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_frame(key=True)
    await until(lambda: ben.heard)
    for client in (ada, ben):
        client.stop_checking()
    await asyncio.sleep(0.1)
    sent = whatever_comes_to(ada, ben)
    for number in range(PACKETS):
        ada.send_audio(b"%d" % number)
    ben.send_check()
    ben.acknowledge()
    loop.stand_still(seconds)
    # Signalling comes before media, or after it.
    call.relay.set_published("ada", {PublishSource.CAMERA: False})
    call.relay.set_published("ada", {PublishSource.CAMERA: True})
    return ben, sent


def voices(client: CraftedClient) -> list[bytes]:
    return [heard.content for heard in client.heard_on(client.seat(0)[0])]


TALK = [b"%d" % number for number in range(PACKETS)]


async def woken(call: Call, *, ours: bool) -> None:
    ben, sent = await stand_still(call, 5.0)
    await asyncio.sleep(3)
    (stalled,) = call.listener.stalls
    assert 5 <= stalled < 5.2
    assert sent == []
    if ours:
        call.relay.go_on()
        await until(lambda: voices(ben) == TALK, within=1.0)
        # It is found out again.
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.stand_still(2 * LIMIT)
        await until(lambda: len(call.listener.stalls) == 2, within=1.0)
        return
    call.relay.fall_silent()
    call.relay.go_on()
    await asyncio.sleep(1)
    await call.relay.close()
    await asyncio.sleep(1)
    assert sent == []


def test_who_was_stopped_for_long_says_nothing_when_the_session_is_anothers() -> None:
    """Neither what lay in its sockets nor a goodbye to anybody."""
    call_in_virtual_time(partial(woken, ours=False), stall_seconds=LIMIT)


def test_who_was_stopped_for_long_goes_on_with_what_waited_when_the_session_is_its_own() -> None:
    call_in_virtual_time(partial(woken, ours=True), stall_seconds=LIMIT)


async def stopped_between_reading_and_sending(call: Call) -> list[bytes]:
    """Stop a process that has read a voice, a picture and a request for a former one.

    Returns what leaves to Ben from then on.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_frame(key=True)
    ada.send_audio()
    await until(lambda: len(ben.heard) == 2)
    ben.stop_checking()
    sent = whatever_comes_to(ben)
    intake = call.relay.transports["ada-1"].intake
    receive = intake.receive_rtp

    def stopped(inbox: Buffer, size: int, now: float) -> bool:
        authentic = receive(inbox, size, now)
        loop.stand_still(2 * LIMIT)
        return authentic

    intake.receive_rtp = stopped  # type: ignore[method-assign, assignment]
    ada.send_audio()
    ada.send_frame()
    _, video = ben.seat(0)
    number = ben.heard_on(video)[0].packet.sequence_number
    ben.send_rtcp(negative_acknowledgement(1, ben.slots[video][0], [number]))
    await until(lambda: call.listener.stalls)
    call.relay.fall_silent()
    await asyncio.sleep(1)
    return sent


def test_what_was_read_before_a_stop_leaves_no_more_after_it() -> None:
    assert call_in_virtual_time(stopped_between_reading_and_sending, stall_seconds=LIMIT) == []


async def stopped_within_a_tick(call: Call) -> list[bytes]:
    """Stop a process that is about to report to Ada; return what leaves to her from then on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    ada, ben = await call.join("ada"), await call.join("ben")
    ada.send_audio()
    await until(lambda: ben.heard)
    ada.stop_checking()
    transport = call.relay.transports["ada-1"]
    tick = transport.tick
    sent: list[list[bytes]] = []

    def stopped(now: float) -> None:
        if now >= transport.reports_due:
            sent.append(whatever_comes_to(ada))
            loop.stand_still(2 * LIMIT)
        tick(now)

    transport.tick = stopped  # type: ignore[method-assign]
    await until(lambda: call.listener.stalls)
    call.relay.fall_silent()
    await asyncio.sleep(1)
    (since,) = sent
    return since


def test_what_a_tick_was_about_to_say_before_a_stop_is_not_said_after_it() -> None:
    assert call_in_virtual_time(stopped_within_a_tick, stall_seconds=LIMIT) == []


async def short(call: Call) -> None:
    ben, _ = await stand_still(call, 0.9 * LIMIT)
    await until(lambda: voices(ben) == TALK, within=0.1)
    assert call.listener.stalls == []


def test_a_short_stall_holds_nobody_up() -> None:
    call_in_virtual_time(short, stall_seconds=LIMIT)


async def alone(call: Call) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    ada = await call.join("ada", dialect=Dialect())
    ada.close()
    await until(lambda: not call.relay.transports)
    await asyncio.sleep(0.2)
    loop.stand_still(5)
    await call.join("ben")
    assert call.listener.stalls == []


def test_a_relay_with_nobody_is_in_no_doubt() -> None:
    call_in_virtual_time(alone, stall_seconds=LIMIT)


def test_doubt_begins_at_the_limit_and_is_told_of_once() -> None:
    found: list[float] = []
    stall = Stall(LIMIT, found.append)
    assert not stall.look(1e9)
    stall.beat(10.0)
    assert not stall.look(10.0 + 0.99 * LIMIT)
    assert stall.look(10.0 + LIMIT)
    stall.beat(10.0 + LIMIT)
    assert stall.look(10.0 + LIMIT)
    assert found == [LIMIT]
    assert stall.settle()
    assert not stall.settle()
    assert not stall.look(1e9)
    stall.beat(20.0)
    assert stall.look(22.0)
    assert stall.settle()
    stall.lose()
    stall.beat(30.0)
    assert not stall.settle()
    assert stall.look(30.0)
    assert found == [LIMIT, 2.0], "what is known needs no telling"


def test_nobody_is_followed_before_they_doubt() -> None:
    assert SessionConfig(node="n", trunk_key=b"").stall_s <= LedgerPolicy().probe_s
    assert tenure.ASK_S <= LedgerPolicy().probe_s
