"""The shipped TURN configuration, asked by a client: the media nodes, and no other private peer."""

from __future__ import annotations

import asyncio
import re
import runpy
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aioice import stun
from aioice.turn import TurnClientUdpProtocol

from actors.session.media import turn_credentials
from gateway import probe
from tests.patience import PATIENCE
from tests.ports import free_port

COTURN = Path(__file__).resolve().parents[2] / "deploy" / "coturn"
SECRET = "only-of-this-test"
NODE = "10.0.3.11"


@pytest.fixture
async def turn(tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """Debian's coturn with what is shipped, on loopback and without TLS, for one media node."""
    program = shutil.which("turnserver")
    assert program is not None, "install Debian's coturn"
    port = free_port()
    allow = runpy.run_path(str(COTURN / "allow.py"))["allowed"]
    text = (COTURN / "turnserver.conf").read_text()
    text = text.replace("listening-port=3478", f"listening-port={port}")
    text = re.sub(r"^(external-ip|cert|pkey|tls-listening-port)=.*$", "", text, flags=re.M)
    added = [
        *allow([NODE]),
        f"static-auth-secret={SECRET}",
        "no-tls",
        "no-dtls",
        "listening-ip=127.0.0.1",
        "relay-ip=127.0.0.1",
        f"pidfile={tmp_path / 'pid'}",
        f"userdb={tmp_path / 'db'}",
    ]
    configuration = tmp_path / "turnserver.conf"
    configuration.write_text(text + "\n".join(added) + "\n")
    process = await asyncio.create_subprocess_exec(
        program,
        "-c",
        str(configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    for _ in range(int(200 * PATIENCE)):
        if await asyncio.to_thread(probe.answers_tcp, "127.0.0.1", port):
            break
        await asyncio.sleep(0.05)
    yield "127.0.0.1", port
    process.terminate()
    await process.wait()


class Client:
    """A TURN client with the credentials that a session actor mints."""

    def __init__(self, server: tuple[str, int], secret: str = SECRET) -> None:
        self._server = server
        self._username, self._password = turn_credentials(secret.encode(), int(1000 * time.time()))
        self._opened: list[TurnClientUdpProtocol] = []

    async def allocate(self) -> TurnClientUdpProtocol:
        """Take one allocation more."""
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: TurnClientUdpProtocol(self._server, self._username, self._password, 600, 500),
            remote_addr=self._server,
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
async def client(turn: tuple[str, int]) -> AsyncIterator[Client]:
    client = Client(turn)
    yield client
    await client.close()


async def test_private_peers_are_refused_except_the_media_nodes(client: Client) -> None:
    allocation = await client.allocate()
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


async def test_somebody_elses_quota_is_not_ones_own(turn: tuple[str, int], client: Client) -> None:
    """Two who joined in the same second."""
    other = Client(turn)
    for _ in range(12):
        await client.allocate()
    await other.allocate()
    await other.close()


async def test_credentials_of_another_secret_get_nothing(turn: tuple[str, int]) -> None:
    stranger = Client(turn, "another-secret")
    with pytest.raises(stun.TransactionFailed) as caught:
        await stranger.allocate()
    assert refused(caught) == 401
    await stranger.close()
