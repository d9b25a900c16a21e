"""The handshake: lost flights are repeated, weak ones refused, each relay has its own key."""

from __future__ import annotations

import os
import time

import pytest
from OpenSSL import SSL

from actors.relay import TransportState
from actors.relay.network.dtls import Dtls, DtlsState
from actors.relay.network.identity import Identity
from tests.patience import until

from .client import CraftedClient
from .conftest import Call, StartCall, call_in_virtual_time


def is_dtls(data: bytes) -> bool:
    return 19 < data[0] < 64


async def test_a_flight_that_was_lost_is_repeated_by_the_timer(call: Call) -> None:
    """The client here has no timer of its own, so only the relay's can end the wait."""
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    lost: list[bytes] = []
    since: list[float] = []

    def lose(data: bytes) -> bool:
        if not is_dtls(data):
            return False
        since.append(time.monotonic())
        if since[-1] - since[0] < 0.5:
            lost.append(data)
            return True
        return False

    ada.raw_received = lose
    await ada.connect()
    assert lost
    await until(lambda: call.listener.state_of("ada-1") is TransportState.CONNECTED)


async def a_handshake_that_does_not_end(call: Call) -> None:
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    ada.raw_received = is_dtls
    with pytest.raises(TimeoutError):
        await ada.connect(within=11)
    assert call.listener.state_of("ada-1") is TransportState.CLOSED
    assert call.relay.transports == {}


def test_a_handshake_that_does_not_end_is_given_up() -> None:
    call_in_virtual_time(a_handshake_that_does_not_end)


async def test_of_two_client_hellos_only_the_one_of_the_validated_address_counts(
    call: Call,
) -> None:
    """ASVS V17.2.6: an attacker who is faster than the browser wins nothing."""
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    await ada.open()
    ada.negotiate()
    racer = CraftedClient(call.relay, "mallory")
    call.clients.append(racer)
    await racer.open()
    # Mallory overheard the signalling: she knows the fingerprint, but not the password.
    racer.remote.ufrag, racer.remote.fingerprint = ada.remote.ufrag, ada.remote.fingerprint
    answered: list[bytes] = []

    def keep(data: bytes) -> bool:
        answered.append(data)
        return True

    racer.raw_received = keep
    before = call.relay.dropped_strangers
    for _ in range(20):
        racer.start_dtls()
    await until(lambda: call.relay.dropped_strangers >= before + 20)
    ada.keep_checking()
    await until(lambda: ada.checks_answered)
    racer.start_dtls()
    ada.start_dtls()
    await until(lambda: call.listener.state_of("ada-1") is TransportState.CONNECTED)
    assert answered == []


def connect(client: SSL.Context, server: Identity, peer: Identity) -> Dtls:
    """Run a handshake in memory; returns the relay's end."""
    relay = Dtls(server.context, {"sha-256": peer.fingerprint})
    there = SSL.Connection(client, None)
    there.set_ciphertext_mtu(1200)
    there.set_connect_state()
    for _ in range(10):
        try:
            there.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            break
        try:
            relay.receive(there.bio_read(4096))
        except SSL.Error:
            pass
        for datagram in relay.datagrams():
            there.bio_write(datagram)
    return relay


AEAD, CM = b"SRTP_AEAD_AES_128_GCM", b"SRTP_AES128_CM_SHA1_80"


@pytest.mark.parametrize(
    ("ciphers", "profiles", "agreed"),
    [
        (b"ECDHE-ECDSA-AES128-GCM-SHA256", AEAD, AEAD),
        (b"ECDHE-ECDSA-AES128-GCM-SHA256", CM, CM),
        # Of two the better one, whichever the peer names first.
        (b"ECDHE-ECDSA-AES128-GCM-SHA256", CM + b":" + AEAD, AEAD),
        # ASVS V17.2.2: no CBC, no static RSA, no unauthenticated exchange, no 32-bit tags.
        (b"ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", AEAD, None),
        (b"AES128-SHA:@SECLEVEL=0", AEAD, None),
        (b"AECDH-AES128-SHA:@SECLEVEL=0", AEAD, None),
        (b"ECDHE-ECDSA-AES128-GCM-SHA256", b"SRTP_AES128_CM_SHA1_32", None),
    ],
)
def test_only_strong_suites_and_profiles_are_agreed_on(
    ciphers: bytes, profiles: bytes, agreed: bytes | None
) -> None:
    server, peer = Identity(), Identity()
    client = peer.context
    client.set_cipher_list(ciphers)
    client.set_tlsext_use_srtp(profiles)
    relay = connect(client, server, peer)
    assert (relay.state is DtlsState.CONNECTED) is (agreed is not None)
    assert (relay.keys and relay.keys.profile) == agreed


async def test_every_relay_has_a_key_of_its_own(start_call: StartCall) -> None:
    """ASVS V17.2.1: made for one relay, also where one process holds several one after another."""
    shown: list[str] = []
    for _ in range(2):
        call = await start_call()
        clients = [await call.join(name) for name in ("ada", "ben")]
        fingerprints = {client.remote.fingerprint for client in clients}
        assert len(fingerprints) == 1
        shown += fingerprints
    assert shown[0] != shown[1]


def test_a_handshake_takes_so_many_bytes_and_no_more() -> None:
    """A real one needs about 3 KB."""
    relay = Dtls(Identity().context, {"sha-256": "00"})
    for _ in range(64):
        relay.receive(b"\x16\xfe\xfd" + bytes(1021))
        assert relay.state is DtlsState.HANDSHAKING
    relay.receive(b"\x16")
    assert relay.state is DtlsState.FAILED


def test_noise_in_the_middle_of_a_handshake_does_not_end_it() -> None:
    server, peer = Identity(), Identity()
    relay = Dtls(server.context, {"sha-256": peer.fingerprint})
    client = Dtls(peer.context, {"sha-256": server.fingerprint}, server=False)
    client.start()
    for _ in range(6):
        relay.receive(b"\x16\xfe\xfd" + os.urandom(40))
        for datagram in client.datagrams():
            relay.receive(datagram)
        for datagram in relay.datagrams():
            client.receive(os.urandom(30))
            client.receive(datagram)
    assert relay.state is client.state is DtlsState.CONNECTED
