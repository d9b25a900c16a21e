"""Addresses that change: where the relay sends once somebody has moved, or seems to have."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial

import pytest
from aioice import stun

from actors.relay import PublishSource, RelayConfig
from actors.relay.wire.rtcp import receiver_report
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, StartCall, call_in_virtual_time
from .stranger import Stranger, echo


async def test_media_does_not_move_to_an_address_that_does_not_answer(call: Call) -> None:
    """A participant forges the source of a nomination: the victim gets a check, never media."""
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    victim = await Stranger().open()
    # The victim's socket sends what a forged source address would make arrive.
    victim.send(ben.check(nominate=True), call.relay.port)
    await until(lambda: len(victim.received) >= 2)
    for _ in range(30):
        ada.send_audio()
    await until(lambda: len(ben.heard_on(audio)) == 30)
    # The answer to its check and the relay's own check, nothing of SRTP's range.
    assert all(data[0] < 2 for data in victim.received)
    victim.close()


async def test_an_answer_without_the_password_moves_nothing(start_call: StartCall) -> None:
    """A public STUN server would answer the relay's check, but it has no password."""
    # The relay's patience of two seconds does not end while its clock stands.
    call = await start_call(clock=lambda: 1000.0)
    ben = await call.join("ben")
    ben.nominates = False
    server = await Stranger().open()
    server.send(ben.check(nominate=True), call.relay.port)
    ice = call.relay.transports["ben-1"].ice
    selected = ice.selected
    await until(lambda: ice.wanted is not None)
    await until(lambda: server.received and server.received[-1][:2] == b"\x00\x01")
    request = stun.parse_message(server.received[-1])

    def answer(transaction: bytes, password: str | None) -> bytes:
        response = stun.Message(
            stun.Method.BINDING,
            stun.Class.RESPONSE,
            transaction,
            {"XOR-MAPPED-ADDRESS": ("127.0.0.1", call.relay.port)},
        )
        if password is not None:
            response.add_message_integrity(password.encode())
        return bytes(response)

    for wrong in (
        answer(request.transaction_id, None),
        answer(request.transaction_id, "z" * 32),
        answer(bytes(12), ben.own.password),
    ):
        server.send(wrong, call.relay.port)
    await echo(ben)
    assert ice.selected is selected
    server.send(answer(request.transaction_id, ben.own.password), call.relay.port)
    await until(lambda: ice.selected is not selected)
    server.close()


async def test_a_client_that_changes_its_port_goes_on(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    ada.send_audio()
    await until(lambda: ben.heard_on(audio))
    await ben.rebind()
    ben.send_check(nominate=True)
    await until(lambda: ben.checks_received > 0)
    ice = call.relay.transports["ben-1"].ice
    await until(lambda: ice.selected is not None and ice.selected.endpoint[1] == ben.local_port)
    ada.send_audio()
    await until(lambda: len(ben.heard_on(audio)) == 2)
    assert len(ice.addresses) == 2


async def test_of_several_nominations_the_latest_counts(call: Call) -> None:
    """Firefox nominates every pair that answers, and means the last."""
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    ben.stop_checking()
    ice = call.relay.transports["ben-1"].ice
    ports = [ben.local_port]
    for _ in range(2):
        await ben.rebind()
        ports.append(ben.local_port)
        ben.send_check(nominate=True)
        await until(lambda: ice.selected is not None and ice.selected.endpoint[1] == ports[-1])
        ada.send_audio()
        heard = len(ben.heard_on(audio))
        await until(lambda heard=heard: len(ben.heard_on(audio)) > heard)  # type: ignore[misc]
    assert sorted(address.endpoint[1] for address in ice.addresses) == sorted(ports)


async def test_without_a_nomination_the_relay_follows_the_voice_after_silence(
    start_call: StartCall,
) -> None:
    call = await start_call(RelayConfig(silence_before_reroute=0.1))
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    ben.nominates = False
    await ben.rebind()
    ben.keep_checking()
    ice = call.relay.transports["ben-1"].ice
    old = ice.selected
    await until(lambda: ice.selected is not old)
    ada.send_audio()
    await until(lambda: ben.heard_on(audio))


async def copied_media(call: Call) -> tuple[list[bytes], int, int]:
    """Let somebody send copies of what Ben sends from an address of their own.

    Returns what they are sent, and how many of Ada's next 50 packets Ben heard: while Ben was
    heard himself, and once he was not.
    """
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    stranger = await Stranger().open()
    ben.send_audio()
    await until(lambda: call.relay.transports["ben-1"].intake.layers)
    heard = []
    for silent in (False, True):
        if silent:
            ben.stop_checking()
            await asyncio.sleep(0.5)
        before = len(ben.heard_on(audio))
        for _ in range(50):
            # Ben's own never arrives: the copy is no repetition.
            stranger.send(ben.rtp(ben.track(PublishSource.MICROPHONE), b"copied"), call.relay.port)
            ben.track(PublishSource.MICROPHONE).step(960, 6)
            ada.send_audio()
            await asyncio.sleep(0.02)
        heard.append(len(ben.heard_on(audio)) - before)
    stranger.close()
    return stranger.received, heard[0], heard[1]


def test_media_from_elsewhere_are_asked_back_and_send_nothing_there() -> None:
    """A packet shows that its sender has the keys, not that it came from where it says."""
    sent, before, after = call_in_virtual_time(copied_media)
    assert (before, after) == (50, 50)
    # At most a check every tenth of a second, to an address that never answers one.
    assert 1 <= len(sent) <= 20
    assert all(data[0] < 2 for data in sent)


async def test_forged_media_do_not_keep_a_moved_peer_from_being_checked(
    start_call: StartCall,
) -> None:
    """Whoever only receives is known by an SSRC that all browsers have, and is silent at times."""
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ben = await call.join("ben", publish=())
    ben.stop_checking()
    ben.send_rtcp(receiver_report(1, ()))
    transport = call.relay.transports["ben-1"]
    await until(lambda: transport.knows(1, feedback=True))
    moment += 0.5
    stranger = await Stranger().open()
    for _ in range(21):
        stranger.send(receiver_report(1, ()) + bytes(20), call.relay.port)
    await until(lambda: call.relay.dropped_strangers == 21)
    assert transport.intake.drops.unauthentic == 20
    await ben.rebind()
    await echo(ben)
    stranger.close()


async def test_who_has_moved_is_told_where_they_are_that_it_is_over(call: Call) -> None:
    ada = await call.join("ada")
    ada.stop_checking()
    await ada.rebind()
    ada.keep_checking()
    selected = call.relay.transports["ada-1"].ice
    await until(lambda: selected.selected and selected.selected.endpoint[1] == ada.local_port)
    records: list[bytes] = []

    def take(data: bytes) -> bool:
        if 19 < data[0] < 64:
            records.append(data)
        return False

    ada.raw_received = take
    call.relay.close_transport("ada-1")
    await until(lambda: records)


async def move(call: Call, *, nominates: bool = True, checks: bool = True) -> float:
    """Let Ben's port change in mid-call while he speaks; return how long he heard nothing."""
    loop = asyncio.get_running_loop()
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    moved = 0.0
    for step in range(200):
        ada.send_audio()
        ben.send_audio()
        await asyncio.sleep(0.02)
        if step == 50:
            ben.nominates = nominates
            await ben.rebind()
            if checks:
                ben.keep_checking()
            else:
                ben.stop_checking()
            moved = loop.time()
    times = [heard.at for heard in ben.heard_on(audio)]
    assert any(at > moved for at in times)
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_a_client_that_moves_goes_on_within_a_second() -> None:
    assert call_in_virtual_time(move) < 1.0


def test_a_client_that_moves_without_nominating_goes_on_soon_after_a_second() -> None:
    """The old address is silent for a second before the relay looks for the voice elsewhere."""
    assert 0.9 < call_in_virtual_time(partial(move, nominates=False)) < 1.5


def test_a_client_whose_nat_moved_it_unawares_goes_on_by_its_media_alone() -> None:
    """Browsers check a path that works every two and a half seconds only."""
    assert call_in_virtual_time(partial(move, checks=False)) < 0.5


async def moved_in_a_flood(call: Call, *, hosts: int, known: bool) -> float:
    """Let Ben's port change while others forge 3,000 packets a second, with his SSRC if `known`.

    Returns how long he heard nothing.
    """
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    others = [await Stranger().open(f"127.0.0.{2 + number}") for number in range(hosts)]
    forged = bytearray(ben.rtp(ben.track(PublishSource.MICROPHONE), bytes(80)))
    if not known:
        forged[8:12] = b"none"
    for step in range(150):
        ada.send_audio()
        if step >= 50:
            for number in range(60):
                forged[-4:] = (60 * step + number).to_bytes(4, "big")
                others[number % hosts].send(bytes(forged), call.relay.port)
        ben.send_audio()
        await asyncio.sleep(0.02)
        if step == 50:
            await ben.rebind()
            ben.stop_checking()
    for other in others:
        other.close()
    times = [heard.at for heard in ben.heard_on(audio)]
    assert len(times) > 100
    return max(later - earlier for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("hosts", "known"),
    [(1, False), (1, True), (60, True)],
    ids=["nobody's SSRC", "his SSRC from one host", "his SSRC from many"],
)
def test_forged_media_keep_nobody_from_being_found(hosts: int, known: bool) -> None:
    assert call_in_virtual_time(partial(moved_in_a_flood, hosts=hosts, known=known)) < 1.0


async def moved_beside_a_copy(call: Call, *, silent: bool) -> float:
    """Let Ben's port change while Mallory goes by his SSRC; return how long Ben heard nothing."""
    ada, _ = await call.join("ada"), await call.join("ben")
    mallory, victim = (CraftedClient(call.relay, name) for name in ("mallory", "victim"))
    call.clients += [mallory, victim]
    ssrc = mallory.track(PublishSource.MICROPHONE).ssrc
    victim.track(PublishSource.MICROPHONE).ssrc = ssrc
    for client in (mallory, victim):
        await client.connect()
        client.send_audio()
    if silent:
        mallory.stop_checking()
    seats = call.listener.occupants("victim")
    audio, _ = victim.seat(next(i for (_, i), who in seats.items() if who == "ada"))
    for step in range(150):
        ada.send_audio()
        victim.send_audio()
        await asyncio.sleep(0.02)
        if step == 50:
            await victim.rebind()
            victim.stop_checking()
    # Whoever was asked first has left the packet as it came.
    assert call.relay.transports["victim-1"].intake.drops.unauthentic == 0
    times = [heard.at for heard in victim.heard_on(audio)]
    assert len(times) > 100
    return max(later - earlier for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("silent", [False, True])
def test_who_copies_an_ssrc_keeps_nobody_from_being_found(silent: bool) -> None:
    assert call_in_virtual_time(partial(moved_beside_a_copy, silent=silent)) < 0.5
