"""A gateway behind a reverse proxy: who is believed to be whose address, and widgets through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import websockets
from websockets.typing import Origin

from broker.messages import SUBPROTOCOL
from gateway.settings import Settings
from tests.gateway.conftest import ENGAGEMENT, WINDOW, Widget, World
from tests.servers import stop_accepting

PROXY, ANN, BEN = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Three addresses of loopback; what they send comes from them."""


class ReverseProxy:
    """Passes one request, or one WebSocket, of each connection on, and says whose it is.

    As proxies do, it appends the caller's address to whatever the caller claimed.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, PROXY, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        await stop_accepting(self._server)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        caller = writer.get_extra_info("peername")[0]
        claimed = [line for line in head if line.lower().startswith("x-forwarded-for:")]
        kept = [line for line in head if line not in claimed]
        chain = [*(line.partition(":")[2].strip() for line in claimed), caller]
        kept += [f"X-Forwarded-For: {', '.join(chain)}", "X-Forwarded-Proto: https"]
        back, out = await asyncio.open_connection(PROXY, self._target, local_addr=(PROXY, 0))
        out.write("\r\n".join([*kept, "", ""]).encode("latin-1"))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(pump(reader, out))
                both.create_task(pump(back, writer))
        finally:
            for each in (writer, out):
                each.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on until the end, and pass the end on."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


@asynccontextmanager
async def behind_a_proxy(settings: Settings) -> AsyncIterator[tuple[World, ReverseProxy]]:
    world = World(settings)
    await world.start()
    proxy = ReverseProxy(world.port)
    await proxy.start()
    try:
        yield world, proxy
    finally:
        await world.stop()
        await proxy.close()


async def look_up(proxy: ReverseProxy, address: str, **headers: str) -> int:
    """Ask for a waiting token from an address; the answer's status."""
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=False)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        answer = await http.post(
            f"http://{PROXY}:{proxy.port}/v1/waiting",
            json={"engagement": WINDOW},
            headers={"Connection": "close", **headers},
        )
    return answer.status_code


@pytest.mark.parametrize("trusted", [(PROXY,), ()], ids=["trusted", "unknown"])
async def test_only_a_trusted_proxy_is_believed_whose_request_it_is(
    settings: Settings, trusted: tuple[str, ...]
) -> None:
    limits = replace(settings.limits, requests_per_minute=0.1, request_burst=3)
    given = replace(settings, trusted_proxies=trusted, limits=limits)
    async with behind_a_proxy(given) as (_, proxy):
        assert [await look_up(proxy, ANN) for _ in range(4)] == [200, 200, 200, 429]
        assert await look_up(proxy, ANN, **{"X-Forwarded-For": "203.0.113.9"}) == 429
        assert await look_up(proxy, BEN) == (200 if trusted else 429)


async def test_a_widget_speaks_through_a_proxy(settings: Settings) -> None:
    given = replace(settings, trusted_proxies=(PROXY,))
    async with behind_a_proxy(given) as (world, proxy):
        session = await world.session()
        world.ledger.live["eng-1"] = session.location
        socket = await websockets.connect(
            f"ws://{PROXY}:{proxy.port}/v1/connect",
            origin=Origin(world.origin),
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            local_addr=(BEN, 0),
        )
        widget = Widget(socket)
        world.widgets.append(widget)
        await widget.greet(token=world.agent_token(), surface="agent_frame", engagement=ENGAGEMENT)
        assert (await widget.next())["type"] == "connection.welcome"
        assert (await widget.until("session.snapshot"))["session_id"] == "s-1"
        await widget.say(type="connection.ping")
        await widget.until("connection.pong")
        await world.server.stop()
        assert await widget.closed() == 1001, "the proxy passes the gateway's own word on"
