"""Who is heard (design-media §1), with forged clients and forgotten ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aioice import stun
from OpenSSL import SSL

from actors.relay import PublishSource, RelayConfig, TransportState
from broker.errors import Conflict, ErrorCode
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, StartCall
from .stranger import Stranger, echo


async def test_only_a_check_with_the_right_proof_is_answered(call: Call) -> None:
    client = CraftedClient(call.relay, "ada")
    call.clients.append(client)
    await client.open()
    client.negotiate()
    stranger = await Stranger().open()
    right = client.check()
    wrong_proof = client.check(password="x" * 32)
    unknown = stun.Message(
        stun.Method.BINDING, stun.Class.REQUEST, attributes={"USERNAME": "nobody:nobody"}
    )
    unknown.add_message_integrity(b"x" * 32)
    without = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        attributes={"USERNAME": f"{client.remote.ufrag}:{client.own.ufrag}"},
    )
    for data in (
        wrong_proof,
        bytes(unknown),
        bytes(without),
        right[:50] + bytes([right[50] ^ 1]) + right[51:],
        b"",
        b"\x00",
    ):
        stranger.send(data, call.relay.port)
    client.send(right)
    await until(lambda: client.checks_answered == 1)
    assert not stranger.received
    stranger.close()


async def test_dtls_and_rtp_from_an_unknown_address_are_dropped(call: Call) -> None:
    ada = await call.join("ada")
    stranger = await Stranger().open()
    before = call.relay.dropped_strangers
    stranger.send(b"\x16\xfe\xfd" + bytes(60), call.relay.port)
    stranger.send(b"\x80\x60" + bytes(60), call.relay.port)
    await until(lambda: call.relay.dropped_strangers == before + 2)
    await echo(ada)
    assert not stranger.received
    stranger.close()


async def test_a_peer_that_takes_itself_for_controlled_is_told(call: Call) -> None:
    """RFC 8445 §7.3.1.1: a lite agent never controls, so that the other must."""
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    await ada.open()
    ada.negotiate()
    confused = await Stranger().open()
    check = stun.parse_message(ada.check(nominate=False))
    check.attributes["ICE-CONTROLLED"] = check.attributes.pop("ICE-CONTROLLING")
    for name in ("MESSAGE-INTEGRITY", "FINGERPRINT"):
        check.attributes.pop(name, None)
    check.add_message_integrity(ada.remote.password.encode())
    confused.send(bytes(check), call.relay.port)
    await until(lambda: confused.received)
    told = stun.parse_message(confused.received[0])
    assert told.attributes["ERROR-CODE"][0] == 487
    assert told.transaction_id == check.transaction_id
    assert call.relay.transports["ada-1"].ice.addresses == []
    confused.close()


async def test_an_address_of_somebody_living_cannot_be_taken(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    # Ben's proof arrives from Ada's address.
    ada.send(ben.check(nominate=True))
    await echo(ada)
    assert len(call.relay.transports["ben-1"].ice.addresses) == 1
    held = call.relay.transports["ada-1"].ice.addresses[0]
    assert held.socket.peers[held.key].transport is call.relay.transports["ada-1"]


SILENT_FROM = 1000.0


async def given_away(start_call: StartCall) -> tuple[Call, CraftedClient]:
    """A call with Ada, whose NAT gave her only port to Ben after a silence: she has no address."""
    moment = SILENT_FROM
    call = await start_call(clock=lambda: moment)
    ada, ben = await call.join("ada"), await call.join("ben")
    for client in (ada, ben):
        client.stop_checking()
    adas, bens = (call.relay.transports[f"{name}-1"].ice for name in ("ada", "ben"))
    moment += call.relay.config.silence_before_reconnecting + 1
    ada.send(ben.check(nominate=False))
    await until(lambda: len(bens.addresses) == 2)
    assert (adas.addresses, adas.selected) == ([], None)
    return call, ada


async def test_who_lost_the_only_address_to_another_has_as_long_to_come_back(
    start_call: StartCall,
) -> None:
    call, _ = await given_away(start_call)
    adas, config = call.relay.transports["ada-1"], call.relay.config
    last = SILENT_FROM + config.silence_before_closing
    states = []
    for now in (SILENT_FROM + config.silence_before_reconnecting + 1, last, last + 0.1):
        adas.tick(now)
        states.append(adas.state)
    back, closed = TransportState.RECONNECTING, TransportState.CLOSED
    assert states == [back, back, closed]


async def test_who_lost_the_only_address_to_another_is_found_where_they_come_back(
    start_call: StartCall,
) -> None:
    """Also where their browser nominates no more: it has, and knows nothing of the NAT's doing."""
    call, ada = await given_away(start_call)
    ice = call.relay.transports["ada-1"].ice
    await ada.rebind()
    ada.send_check(nominate=False)
    await until(lambda: ice.selected is not None)
    assert ice.selected is not None
    assert ice.selected.endpoint[1] == ada.local_port


async def test_at_most_eight_addresses_are_heard(call: Call) -> None:
    ada = await call.join("ada")
    strangers = [await Stranger().open() for _ in range(12)]
    for stranger in strangers:
        stranger.send(ada.check(nominate=False), call.relay.port)
    await until(lambda: all(stranger.received for stranger in strangers))
    transport = call.relay.transports["ada-1"]
    assert len(transport.ice.addresses) == 8
    assert transport.ice.selected in transport.ice.addresses
    assert sum(len(s.peers) for s in call.relay.sockets) == 8
    for stranger in strangers:
        stranger.close()


async def test_every_validated_address_is_heard_wherever_the_relay_sends(
    start_call: StartCall,
) -> None:
    """A browser may send by another pair than the one that it has nominated."""
    # Nobody is silent, so that nobody is looked for elsewhere.
    call = await start_call(clock=lambda: 1000.0)
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    track, ice = ada.track(PublishSource.MICROPHONE), call.relay.transports["ada-1"].ice
    other = await Stranger().open()

    def say(content: bytes) -> None:
        other.send(ada.rtp(track, content), call.relay.port)
        track.step(960, len(content))

    strangers = call.relay.dropped_strangers
    say(b"nobody's yet")
    await until(lambda: call.relay.dropped_strangers == strangers + 1)
    other.send(ada.check(nominate=False), call.relay.port)
    await until(lambda: other.received)
    say(b"by the other")
    ada.send_audio(b"by the first")
    await until(lambda: len(ben.heard_on(audio)) == 2)
    assert [each.content for each in ben.heard_on(audio)] == [b"by the other", b"by the first"]
    assert ice.selected is not None
    assert ice.selected.endpoint[1] == ada.local_port
    other.close()


async def test_bad_proofs_are_looked_at_twenty_times_a_second_only(start_call: StartCall) -> None:
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada = await call.join("ada")
    stranger = await Stranger().open()
    forged = ada.check(password="y" * 32)
    transport = call.relay.transports["ada-1"]
    failures = transport.ice.failures
    for _ in range(200):
        stranger.send(forged, call.relay.port)
    await until(lambda: transport.intake.drops.unproved == 200)
    assert not stranger.received
    # Strangers cannot silence the one who was validated.
    count = ada.checks_answered
    ada.send_check()
    await until(lambda: ada.checks_answered > count)
    assert not failures.has(1, moment)
    stranger.close()


async def test_checks_of_who_may_make_them_are_answered_a_hundred_times_a_second(
    start_call: StartCall,
) -> None:
    moment = 1000.0
    call = await start_call(clock=lambda: moment)
    ada = await call.join("ada")
    ada.stop_checking()
    transport = call.relay.transports["ada-1"]
    moment += 1.0
    drops = transport.intake.drops

    async def flood(count: int) -> int:
        """Send so many checks at one moment; returns how many are answered."""
        before, excess = ada.checks_answered, drops.excess
        for _ in range(count):
            ada.send_check()
        await until(lambda: ada.checks_answered - before + drops.excess - excess >= count)
        return ada.checks_answered - before

    # All of a second's at once would hold everybody else up. One may have been under way already.
    assert 20 <= await flood(50) <= 21
    for _ in range(10):
        moment += 0.1
        assert 9 <= await flood(15) <= 11
    moment += 1.0
    excess = drops.excess
    await echo(ada)
    assert drops.excess == excess


async def test_an_ice_restart_keeps_dtls_and_the_call(call: Call) -> None:
    ada = await call.join("ada")
    ben = await call.join("ben")
    audio, _ = ben.seat(0)
    old_check = ben.check()
    old_name = ben.remote.ufrag
    ssrcs = dict(ben.slots)
    ben.own = replace(ben.own, ufrag="newufrag", password="n" * 32)
    ben.negotiate()
    assert ben.remote.ufrag != old_name
    assert ben.slots == ssrcs
    # The old credentials hold until the new ones are used.
    count = call.relay.transports["ben-1"].ice.addresses[0].heard
    ben.send(old_check)
    await until(lambda: call.relay.transports["ben-1"].ice.addresses[0].heard > count)
    await echo(ben)
    assert call.relay.transports["ben-1"].ice.generations == [
        call.relay.transports["ben-1"].ice.credentials
    ]
    # From then on they are nobody's.
    strangers = call.relay.dropped_strangers
    ben.send(old_check)
    await until(lambda: call.relay.dropped_strangers == strangers + 1)
    await ben.rebind()
    ben.send_check(nominate=True)
    # Until it is, what is sent goes to where he was, and he has been asked there before.
    ice = call.relay.transports["ben-1"].ice
    await until(lambda: ice.selected is not None and ice.selected.endpoint[1] == ben.local_port)
    ada.send_audio(b"after the restart")
    await until(lambda: ben.heard_on(audio))
    assert call.listener.state_of("ben-1") is TransportState.CONNECTED


async def test_restarts_whose_answers_are_lost_leave_what_is_in_use(call: Call) -> None:
    """A browser that has lost the broker offers until it is answered, and goes on meanwhile."""
    ada, ben = await call.join("ada"), await call.join("ben")
    audio, _ = ben.seat(0)
    ice = call.relay.transports["ben-1"].ice
    in_use, old_check = (ben.own, ben.remote), ben.check()
    for number in range(6):
        ben.own = replace(ben.own, ufrag=f"restart{number}", password=f"{number}" * 32)
        ben.negotiate()
    answered = ben.own, ben.remote
    ben.own, ben.remote = in_use
    assert len(ice.generations) == 4
    # Also where its NAT gives it another port: the relay asks it by what it goes by.
    await ben.rebind()
    ben.send_check(nominate=True)
    await until(lambda: ice.selected is not None and ice.selected.endpoint[1] == ben.local_port)
    ada.send_audio(b"meanwhile")
    await until(lambda: ben.heard_on(audio))
    # The last answer has come after all, and what was before it is nobody's.
    ben.own, ben.remote = answered
    await echo(ben)
    assert ice.generations == [ice.credentials]
    strangers = call.relay.dropped_strangers
    ben.send(old_check)
    await until(lambda: call.relay.dropped_strangers == strangers + 1)


async def test_silence_is_reconnecting_and_then_closed(start_call: StartCall) -> None:
    call = await start_call(
        RelayConfig(silence_before_reconnecting=0.3, silence_before_closing=0.8)
    )
    ada = await call.join("ada")
    ada.stop_checking()
    await until(lambda: call.listener.state_of("ada-1") is TransportState.RECONNECTING)
    ada.keep_checking()
    await until(lambda: call.listener.state_of("ada-1") is TransportState.CONNECTED)
    ada.vanish()
    await until(lambda: call.listener.state_of("ada-1") is TransportState.CLOSED)
    assert call.relay.transports == {}
    assert all(not socket.peers for socket in call.relay.sockets)


async def test_a_transport_that_has_ended_does_not_come_back(start_call: StartCall) -> None:
    """Whoever was away for long has keys that are nobody's any more, and would not make others."""
    call = await start_call(RelayConfig(silence_before_closing=0.3))
    ada = await call.join("ada")
    ada.stop_checking()
    await until(lambda: not call.relay.transports)
    ada.own = replace(ada.own, ufrag="newufrag", password="n" * 32)
    with pytest.raises(Conflict) as refused:
        ada.negotiate()
    assert refused.value.code == ErrorCode.REPLACED
    assert not call.relay.transports
    # Who has made no keys yet may offer again.
    ben = CraftedClient(call.relay, "ben")
    call.clients.append(ben)
    for _ in range(2):
        ben.negotiate()
        call.relay.close_transport("ben-1")
    await ben.connect()


async def test_goodbye_closes_at_once(call: Call) -> None:
    ada = await call.join("ada")
    ada.close()
    await until(lambda: call.listener.state_of("ada-1") is TransportState.CLOSED)


async def test_a_certificate_other_than_the_offers_is_refused(call: Call) -> None:
    client = CraftedClient(call.relay, "mallory")
    call.clients.append(client)
    await client.open()
    offered = client.offer()
    fingerprint = client.own.fingerprint
    other = "00" + fingerprint[2:] if not fingerprint.startswith("00") else "11" + fingerprint[2:]
    client.offer = lambda: offered.replace(fingerprint, other)  # type: ignore[method-assign]
    client.negotiate()
    client.keep_checking()
    await until(lambda: client.checks_answered)
    client.start_dtls()
    await until(lambda: call.listener.state_of("mallory-1") is TransportState.CLOSED)


@pytest.mark.parametrize(
    ("digest", "offered", "state"),
    [
        ("sha384", "sha-384", TransportState.CONNECTED),
        ("sha512", "sha-512", TransportState.CONNECTED),
        ("sha512", "SHA-512", TransportState.CONNECTED),
        # Of as many bytes, and another certificate's.
        (None, "sha-512", TransportState.CLOSED),
    ],
)
async def test_a_better_digest_than_sha_256_is_taken_and_held_against_the_certificate(
    call: Call, digest: str | None, offered: str, state: TransportState
) -> None:
    client = CraftedClient(call.relay, "ada")
    call.clients.append(client)
    certificate = SSL.Connection(client.certificate.context).get_certificate()
    assert certificate is not None
    value = ":".join(["00"] * 64) if digest is None else certificate.digest(digest).decode()
    offer = client.offer().replace(f"sha-256 {client.own.fingerprint}", f"{offered} {value}")
    client.offer = lambda: offer  # type: ignore[method-assign]
    await client.open()
    client.negotiate()
    client.keep_checking()
    await until(lambda: client.checks_answered)
    client.start_dtls()
    await until(lambda: call.listener.state_of("ada-1") is state)
