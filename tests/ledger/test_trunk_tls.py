"""Links beyond the machine are encrypted under the deployment's secret; those on it are plain."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors.ledger.probe import Verdict, probe
from actors.link import ListenedEnd, dial
from actors.listener import Listener
from broker.errors import Unavailable
from gateway.links.dial import dial as gateway_dial
from gateway.links.trunk_tls import TrunkTls, is_loopback
from tests.ledger.fakes import KEY
from tests.patience import PATIENCE, until
from tests.proxy import FaultProxy

HOST = "127.0.0.1"


class Everywhere(TrunkTls):
    """Encrypts on loopback as well, so that a test needs no second machine."""

    def listening(self, host: str) -> ssl.SSLContext:
        return self.server

    def dialling(self, host: str) -> ssl.SSLContext:
        return self.client


def accepted(end: ListenedEnd, hello: bytes) -> None:
    end.accept(b"ready for " + hello)


@asynccontextmanager
async def listening(handshake_s: float) -> AsyncIterator[tuple[Listener, int]]:
    """Listen encrypted, with room for four who have proved nothing; gives the port, too."""
    made = Listener(KEY, accepted, handshake_s=handshake_s, max_unproven=4, tls=Everywhere(KEY))
    yield made, await made.start(HOST, 0)
    await made.close()


@pytest.fixture
async def listener() -> AsyncIterator[tuple[Listener, int]]:
    """Where there is time for a handshake."""
    async with listening(10.0 * PATIENCE) as made:
        yield made


def test_the_same_key_makes_the_same_certificate_and_another_key_another() -> None:
    assert TrunkTls(KEY).certificate == TrunkTls(KEY).certificate
    assert TrunkTls(KEY).certificate != TrunkTls(b"x" * 32).certificate


@pytest.mark.parametrize(
    ("host", "plain"),
    [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("10.0.0.2", False), ("db", False)],
)
def test_only_loopback_is_plain(host: str, plain: bool) -> None:
    tls = TrunkTls(KEY)
    assert is_loopback(host) is plain
    assert (tls.listening(host) is None) is plain
    assert (tls.dialling(host) is None) is plain


@pytest.mark.parametrize("encrypted", [True, False])
async def test_nothing_readable_passes_between_two_nodes(encrypted: bool) -> None:
    tls = Everywhere(KEY) if encrypted else None
    listener = Listener(KEY, accepted, tls=tls)
    tap = await FaultProxy(await listener.start(HOST, 0), keeps=True).start()
    try:
        end, ready = await dial(HOST, tap.port, KEY, b"who speaks", tls=tls)
        assert ready == b"ready for who speaks"
        assert (b"who speaks" in tap.seen) is not encrypted
        end.link.abort()
        await until(lambda: end.link.closed, "the end of the link")
    finally:
        await listener.close()
        await tap.close()


async def test_who_knows_another_secret_gets_no_hello_through(
    listener: tuple[Listener, int],
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, Unavailable)):
        await dial(HOST, listener[1], KEY, b"hello", tls=Everywhere(b"x" * 32))


async def test_a_plain_dialler_is_dropped_at_the_deadline() -> None:
    async with listening(0.3) as (_, port):
        with pytest.raises((OSError, Unavailable), match=r"lost during|reset"):
            await dial(HOST, port, KEY, b"hello", timeout_s=10.0 * PATIENCE)


async def test_a_stranger_without_certificate_is_refused(listener: tuple[Listener, int]) -> None:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(HOST, listener[1], ssl=stranger)
    # TLS 1.3 refuses the missing certificate with the first read.
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.transport.abort()
    await asyncio.sleep(0)


async def test_handshakes_that_fail_do_not_use_up_the_listener(
    listener: tuple[Listener, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as soon:
        soon.setattr(listener[0], "_handshake_s", 0.05)
        for _ in range(12):
            _, writer = await asyncio.open_connection(HOST, listener[1])
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            writer.close()
        await until(lambda: not listener[0]._unproven, "the strangers forgotten")
    _, ready = await dial(HOST, listener[1], KEY, b"late", tls=Everywhere(KEY))
    assert ready == b"ready for late"


async def test_the_ledgers_probe_and_the_gateways_dial_speak_it(
    listener: tuple[Listener, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Everywhere(KEY)
    assert await probe(HOST, listener[1], None, timeout_s=5.0 * PATIENCE, tls=tls) is Verdict.ALIVE
    monkeypatch.setattr("gateway.links.dial.trunk_tls", Everywhere)
    end, ready = await gateway_dial(
        HOST, listener[1], KEY, b"gateway", timeout_s=5.0 * PATIENCE, prepare=lambda end: None
    )
    assert ready == b"ready for gateway"
    end.link.abort()
