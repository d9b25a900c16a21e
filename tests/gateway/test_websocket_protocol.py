"""The canary of what is used behind uvicorn's door."""

from __future__ import annotations

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from gateway.connections.websocket_protocol import text_frame
from tests.gateway.conftest import World


def test_the_protocol_class_still_has_what_the_pipe_uses() -> None:
    assert callable(WebSocketsSansIOProtocol.handle_connect)
    names = WebSocketsSansIOProtocol.handle_connect.__code__.co_names
    assert {"scope", "conn", "transport"} <= {
        *names,
        *WebSocketsSansIOProtocol.connection_made.__code__.co_names,
        *WebSocketsSansIOProtocol.__init__.__code__.co_names,
    }
    assert callable(WebSocketsSansIOProtocol.send_receive_event_to_app)
    handled = WebSocketsSansIOProtocol.send_receive_event_to_app.__code__.co_names
    assert {"frames", "curr_msg_data_type", "close_sent", "queue"} <= set(handled)
    assert callable(ServerProtocol.send_text)
    assert callable(ServerProtocol.data_to_send)
    assert OPEN.name == "OPEN"


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 300_000])
def test_our_frame_is_the_librarys(length: int) -> None:
    data = b"x" * length
    assert text_frame(data) == Frame(Opcode.TEXT, data).serialize(mask=False)


async def test_what_a_widget_sends_arrives_in_order_whichever_way_it_takes(
    world: World,
) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    widget = await world.consumer()
    await widget.until("session.snapshot")
    caller = await session.caller()
    for number in range(150):
        # Every third message is looked at by the reader, the others pass in their callback.
        kind = "surface.update" if number % 3 == 0 else "media.publish"
        await widget.say(type=kind, number=number)
    await session.signal.until(lambda: len(caller.messages) == 150)
    assert [message["number"] for message in caller.messages] == list(range(150))


async def test_what_the_pipe_writes_arrives_in_order(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    widget = await world.consumer()
    await widget.until("session.snapshot")
    caller = await session.caller()
    for number in range(500):
        caller.say(type="roster.changed", seq=number, roster=[])
    assert [(await widget.next())["seq"] for _ in range(500)] == list(range(500))
