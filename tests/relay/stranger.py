"""Somebody with a socket who is no participant, and how to know that the relay has read them."""

from __future__ import annotations

import asyncio

from tests.patience import until

from .client import CraftedClient


class Stranger(asyncio.DatagramProtocol):
    """Somebody with a socket and no password."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str = "127.0.0.1") -> Stranger:
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(host, 0)
        )
        return self

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)

    def send(self, data: bytes, port: int) -> None:
        assert self.transport is not None
        self.transport.sendto(data, ("127.0.0.1", port))

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()


async def echo(client: CraftedClient) -> None:
    """Wait until everything sent before has been read by the relay."""
    count = client.checks_answered
    client.send_check(nominate=False)
    await until(lambda: client.checks_answered > count)
