"""One port number on every bound address: families, wildcards, busy ranges (design-media §1)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from aioice import stun as aioice_stun

from actors.relay import Relay, RelayConfig
from actors.relay.network.port import Port, Socket
from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.wire import stun
from broker.errors import ErrorCode, Unavailable
from tests.patience import until

from .conftest import StartCall
from .recording import RecordingListener


def candidates(answer: str) -> list[tuple[str, int]]:
    """The addresses and ports an answer names, in its order of preference."""
    found = []
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            words = line.split()
            found.append((int(words[3]), words[4], int(words[5])))
    return [(address, port) for _, address, port in sorted(found, reverse=True)]


@pytest.fixture
def busy() -> Iterator[range]:
    """Three numbers in a row of which the first two are taken, on 127.0.0.1 and 127.0.0.2."""
    for first in range(42000, 60000, 7):
        with ExitStack() as stack:
            try:
                for number, host in ((0, "127.0.0.1"), (1, "127.0.0.2"), (2, "127.0.0.1")):
                    taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    taken.bind((host, first + number))
                taken.close()
            except OSError:
                continue
            yield range(first, first + 3)
            return
    raise AssertionError("no three free ports in a row")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_call_passes_over_either_family(start_call: StartCall, host: str) -> None:
    call = await start_call(RelayConfig(bind=("127.0.0.1", "::1")))
    ada = await call.join("ada", host=host)
    ben = await call.join("ben")
    # IPv6 first (RFC 8421); one number for both.
    assert candidates(ada.answer) == [("::1", call.relay.port), ("127.0.0.1", call.relay.port)]
    assert ada.mapped == (host, ada.local_port)
    ada.send_audio(b"hello")
    audio, _ = ben.seat(0)
    await until(lambda: ben.heard_on(audio))


async def test_replies_leave_from_the_address_that_was_hit(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(bind=("127.0.0.1", "127.0.0.2")))
    for host in ("127.0.0.2", "127.0.0.1"):
        client = await call.join(host, host=host)
        assert client.answered_from == host


async def test_a_wildcard_stands_for_every_address_of_its_family(start_call: StartCall) -> None:
    call = await start_call(RelayConfig(bind=("0.0.0.0",)))
    own = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET
    ]
    ada = await call.join("ada")
    assert sorted(candidates(ada.answer)) == sorted((each, call.relay.port) for each in own)
    assert ada.answered_from == "127.0.0.1"


async def test_what_is_advertised_need_not_be_bound(start_call: StartCall) -> None:
    """Behind a 1:1 NAT: the public address first, the private one may follow."""
    call = await start_call(RelayConfig(advertise=("198.51.100.7", "127.0.0.1")))
    ada = await call.join("ada")
    port = call.relay.port
    assert candidates(ada.answer) == [("198.51.100.7", port), ("127.0.0.1", port)]


async def test_the_next_free_number_of_the_range_is_taken(busy: range) -> None:
    relay = Relay(RelayConfig(ports=busy), RecordingListener())
    await relay.open()
    assert relay.port == busy[1]
    await relay.close()
    # A number is only good when every address has it.
    port = Port(("127.0.0.1", "127.0.0.2"), busy, 65536)
    assert [s.port for s in port.sockets] == [busy[2], busy[2]]
    with pytest.raises(Unavailable) as caught:
        Port(("127.0.0.1", "127.0.0.2"), busy, 65536)
    assert caught.value.code is ErrorCode.NO_CAPACITY
    port.close()
    Port(("127.0.0.1", "127.0.0.2"), busy, 65536).close()


def test_a_mapped_address_is_told_as_what_the_client_knows_itself_as() -> None:
    request = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    answer = stun.success(request, "::ffff:203.0.113.9", 4000, b"password")
    assert aioice_stun.parse_message(answer).attributes["XOR-MAPPED-ADDRESS"] == (
        "203.0.113.9",
        4000,
    )
    answer = stun.success(request, "fe80::1%eth0", 4000, b"password")
    assert aioice_stun.parse_message(answer).attributes["XOR-MAPPED-ADDRESS"] == ("fe80::1", 4000)


async def test_what_the_kernel_throws_away_is_counted() -> None:
    """A queue that nobody reads overflows; the count is what "nothing lost" is judged by."""
    port = Port(("127.0.0.1",), range(0, 1), 4096)
    (bound,) = port.sockets
    assert bound.kernel_drops() == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(200):
            sender.sendto(bytes(1000), ("127.0.0.1", port.number))
    assert 0 < bound.kernel_drops() < 200
    port.close()


@pytest.mark.timeout(20)
def test_where_datagrams_are_read_one_by_one_a_socket_that_has_closed_has_none() -> None:
    """What came in may have ended the session, and with it the socket, before the next is read."""
    bound = Socket("127.0.0.1", 0, 65536, batched=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"one", ("127.0.0.1", bound.port))
        sender.sendto(b"two", ("127.0.0.1", bound.port))
        buffer = Buffer()
        assert bound.receive_into(buffer) == (3, ("127.0.0.1", sender.getsockname()[1]))
        bound.close()
        assert bound.receive_into(buffer) is None
