"""The canary of what is used behind uvicorn's door."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from tests.gateway.conftest import World


def test_the_protocol_class_still_has_what_the_pipe_uses() -> None:
    assert callable(WebSocketsSansIOProtocol.handle_connect)
    names = WebSocketsSansIOProtocol.handle_connect.__code__.co_names
    assert {"scope", "conn", "transport"} <= {
        *names,
        *WebSocketsSansIOProtocol.connection_made.__code__.co_names,
        *WebSocketsSansIOProtocol.__init__.__code__.co_names,
    }
    assert callable(ServerProtocol.send_text)
    assert callable(ServerProtocol.data_to_send)
    assert OPEN.name == "OPEN"


async def test_what_the_pipe_writes_arrives_in_order(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    widget = await world.consumer()
    await widget.until("session.snapshot")
    caller = await session.caller()
    for number in range(500):
        caller.say(type="roster.changed", seq=number, roster=[])
    assert [(await widget.next())["seq"] for _ in range(500)] == list(range(500))
