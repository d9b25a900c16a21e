"""The shipped TURN configuration, asked by a client: the media nodes, and no other private peer."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import pytest
from aioice import stun
from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol

from actors.session.config import SessionConfig
from actors.session.media import turn_credentials
from tests.actors.stage import KEY, Stage
from tests.coturn import RELAY_IPV6, Configuration, coturn

SECRET = "only-of-this-test"
NODE = "10.0.3.11"
NODE_IPV6 = "fd00:77::11"
_ADDRESS_FAMILY = "REQUESTED-ADDRESS-FAMILY"
stun.ATTRIBUTES_BY_NAME[_ADDRESS_FAMILY] = (
    0x0017,
    _ADDRESS_FAMILY,
    stun.pack_unsigned,
    stun.unpack_unsigned,
)


@pytest.fixture
async def turn(tmp_path: Path) -> AsyncIterator[Configuration]:
    """Debian's coturn with what is shipped, for a media node with two addresses."""
    nodes = [NODE, NODE_IPV6]
    async with coturn(tmp_path, SECRET, nodes=nodes, beside=[RELAY_IPV6]) as server:
        yield server


Allocation: TypeAlias = TurnClientUdpProtocol | TurnClientTcpProtocol


class OverIpv6(TurnClientUdpProtocol):
    """Asks for an IPv6 address of the server's (RFC 8656 §18.8), which aioice does not."""

    async def request_with_retry(
        self, request: stun.Message
    ) -> tuple[stun.Message, tuple[str, int]]:
        if request.message_method == stun.Method.ALLOCATE:
            request.attributes[_ADDRESS_FAMILY] = stun.IPV6_PROTOCOL << 24
        return await super().request_with_retry(request)


class Client:
    """A TURN client with the credentials that a session actor mints."""

    def __init__(
        self, turn: Configuration, secret: str = SECRET, known: tuple[str, str] | None = None
    ) -> None:
        """`known` are credentials that somebody else minted."""
        self._turn = turn
        self._username, self._password = known or turn_credentials(
            secret.encode(), int(1000 * time.time())
        )
        self._opened: list[Allocation] = []

    async def allocate(self, *, tls: bool = False, ipv6: bool = False) -> Allocation:
        """Take one allocation more, over UDP or TLS, of an IPv4 or (over UDP) an IPv6 address."""
        loop = asyncio.get_running_loop()
        server = "127.0.0.1", self._turn.tls_port if tls else self._turn.port
        known = (server, self._username, self._password, 600, 500)
        protocol: Allocation
        if tls:
            trusting = ssl.create_default_context(cafile=str(self._turn.certificate))
            _, protocol = await loop.create_connection(
                lambda: TurnClientTcpProtocol(*known),
                *server,
                ssl=trusting,
                server_hostname="localhost",
            )
        else:
            _, protocol = await loop.create_datagram_endpoint(
                lambda: (OverIpv6 if ipv6 else TurnClientUdpProtocol)(*known), remote_addr=server
            )
        self._opened.append(protocol)
        await protocol.connect()
        return protocol

    async def close(self) -> None:
        for protocol in self._opened:
            if protocol.relayed_address is not None:
                await protocol.delete()
            protocol.transport.close()
        await asyncio.sleep(0)


def refused(caught: pytest.ExceptionInfo[stun.TransactionFailed]) -> int:
    """The error code that the server answered with (RFC 8656 §19)."""
    code: int = caught.value.response.attributes["ERROR-CODE"][0]
    return code


async def forbidden(allocation: Allocation, channel: int, peer: str) -> None:
    """See that nothing is relayed to this address."""
    with pytest.raises(stun.TransactionFailed) as caught:
        await allocation.channel_bind(channel, (peer, 40000))
    assert refused(caught) == 403, peer


@pytest.fixture
async def client(turn: Configuration) -> AsyncIterator[Client]:
    client = Client(turn)
    yield client
    await client.close()


@pytest.mark.parametrize("tls", [False, True], ids=["udp", "tls"])
async def test_private_peers_are_refused_except_the_media_nodes(client: Client, tls: bool) -> None:
    """Over TLS as over UDP: where a network lets nothing else out, it is the only way."""
    allocation = await client.allocate(tls=tls)
    await allocation.channel_bind(0x4000, (NODE, 40000))
    for index, peer in enumerate(
        (
            "10.0.3.12",
            "192.168.1.1",
            "172.16.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        )
    ):
        await forbidden(allocation, 0x4001 + index, peer)


async def test_private_peers_over_ipv6_are_refused_except_the_media_nodes(client: Client) -> None:
    """Those that hold an IPv4 address, too: a translator would bring what is sent there to it."""
    allocation = await client.allocate(ipv6=True)
    await allocation.channel_bind(0x4000, (NODE_IPV6, 40000))
    for index, peer in enumerate(
        (
            "fd00:77::12",
            "fc00::1",
            "fe80::1",
            "::1",
            "::",
            "::ffff:10.0.3.12",
            "64:ff9b::a00:30c",
            "2001::1",
            "2002:a00:30c::1",
            "ff02::1",
        )
    ):
        await forbidden(allocation, 0x4001 + index, peer)


async def test_a_user_gets_so_many_allocations_and_no_more(client: Client) -> None:
    """ASVS V17.1.2: somebody with good credentials cannot take every port."""
    for _ in range(12):
        await client.allocate()
    with pytest.raises(stun.TransactionFailed) as caught:
        await client.allocate()
    assert refused(caught) == 486


async def test_somebody_elses_quota_is_not_ones_own(turn: Configuration, client: Client) -> None:
    """Two who joined in the same second."""
    other = Client(turn)
    for _ in range(12):
        await client.allocate()
    await other.allocate()
    await other.close()


async def test_credentials_of_another_secret_get_nothing(turn: Configuration) -> None:
    stranger = Client(turn, "another-secret")
    with pytest.raises(stun.TransactionFailed) as caught:
        await stranger.allocate()
    assert refused(caught) == 401
    await stranger.close()


async def test_who_joins_is_given_what_the_server_takes(turn: Configuration) -> None:
    """The snapshot of agent and consumer: the servers, and credentials of each one's own."""
    url = f"turn:127.0.0.1:{turn.port}?transport=udp"
    config = SessionConfig(
        node="n",
        trunk_key=KEY,
        ice_servers=(url,),
        turn_secret=SECRET.encode(),
        relay_only=True,
    )
    stage = Stage(config=config)
    stage.now_ms = int(1000 * time.time())
    names = set()
    try:
        for trunk in await stage.ringing():
            media = trunk.last("session.snapshot")["media"]
            assert media["relay_only"] is True
            (server,) = media["ice_servers"]
            assert server["urls"] == [url]
            names.add(server["username"])
            joined = Client(turn, known=(server["username"], server["credential"]))
            await joined.allocate()
            await joined.close()
    finally:
        await stage.close()
    assert len(names) == 2
