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

from actors.session.media import turn_credentials
from tests.coturn import Configuration, coturn

SECRET = "only-of-this-test"
NODE = "10.0.3.11"


@pytest.fixture
async def turn(tmp_path: Path) -> AsyncIterator[Configuration]:
    """Debian's coturn with what is shipped, for one media node."""
    async with coturn(tmp_path, SECRET, nodes=[NODE]) as server:
        yield server


Allocation: TypeAlias = TurnClientUdpProtocol | TurnClientTcpProtocol


class Client:
    """A TURN client with the credentials that a session actor mints."""

    def __init__(self, turn: Configuration, secret: str = SECRET) -> None:
        self._turn = turn
        self._username, self._password = turn_credentials(secret.encode(), int(1000 * time.time()))
        self._opened: list[Allocation] = []

    async def allocate(self, *, tls: bool = False) -> Allocation:
        """Take one allocation more, over UDP or TLS."""
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
                lambda: TurnClientUdpProtocol(*known), remote_addr=server
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
        with pytest.raises(stun.TransactionFailed) as caught:
            await allocation.channel_bind(0x4001 + index, (peer, 40000))
        assert refused(caught) == 403, peer


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
