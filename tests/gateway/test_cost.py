"""What it costs a gateway to pass a message on, and to be made, in calls: times are no use on a
shared machine."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import httpx
from fastapi import FastAPI
from websockets.protocol import OPEN

from broker.link import DiallingEnd
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.trunk import Location
from broker.trunk import Frame, encode_frame
from gateway.app import create_app
from gateway.connections.outbox import Outbox
from gateway.connections.websocket_protocol import WebSocketPipe, text_frame
from gateway.links.ledger_client import LedgerClient
from gateway.links.trunks import Trunk
from gateway.settings import Settings
from tests.gateway.conftest import API_KEY, KEY
from tests.profile import calls_of, named, ours

MESSAGES = 50
MOST_EACH = 8
"""From the bytes of a trunk to the bytes of a WebSocket, the call of the connection apart."""
MOST_FIELDS = 4
"""What stands in the paths of files and pictures, whose operations each app has for itself."""


class Written:
    """Both transports: what was written, with nothing left unsent."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        pass


async def nowhere() -> tuple[str, int]:
    raise AssertionError("the ledger was asked")


async def nothing(message: object) -> None:
    raise AssertionError(f"{message} went through ASGI")


async def test_a_message_of_the_session_is_passed_on_by_a_few_calls_and_one_write() -> None:
    socket = Written()
    conn = SimpleNamespace(state=OPEN, extensions=[])
    pipe = WebSocketPipe(cast(Any, SimpleNamespace(conn=conn, transport=socket)))
    outbox = Outbox(pipe, nothing, max_bytes=1, on_stuck=lambda: None)
    trunk = Trunk(
        Location(
            session_id="s", account_id="a", engagement_key="e", epoch=1, host="127.0.0.1", port=1
        ),
        on_message=outbox.put,
        on_close=lambda trunk, end: None,
        on_lost=lambda trunk: None,
        on_unsaved=lambda unsaved: None,
    )
    end: Any = DiallingEnd(b"k" * 32, b"", asyncio.get_running_loop().create_future)
    trunk._prepare(end)
    end.link.connection_made(Written())
    end.is_ready = True
    trunk.open()
    body = b'{"seq":1,"type":"roster.changed","roster":[]}'
    frame = encode_frame(Frame.MESSAGE, body)

    def step() -> None:
        for _ in range(MESSAGES):
            end.link.data_received(frame)

    calls = calls_of(step)
    assert socket.writes == [text_frame(body)] * MESSAGES
    assert ours(calls) / MESSAGES <= MOST_EACH
    end.ready.cancel()


def test_a_further_app_and_its_first_request_take_no_operation_apart_again(
    settings: Settings,
) -> None:
    """For FastAPI that is most of what making an app takes: a field for each of its parameters."""

    def make() -> FastAPI:
        hello = LinkHello(kind="gateway", member_id="cost", node="test")
        return create_app(settings, LedgerClient(nowhere, KEY, hello))

    async def ask(app: FastAPI) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            key = {"Authorization": f"Bearer {API_KEY}"}
            return (await client.get("/v1/account", headers=key)).status_code

    answers: list[int] = []
    make()
    calls = calls_of(lambda: answers.append(asyncio.run(ask(make()))))
    assert answers == [200]
    assert named(calls, "create_model_field") <= MOST_FIELDS
