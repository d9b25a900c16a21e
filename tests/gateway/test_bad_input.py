"""Bad input gets a stable code, a sentence, and harms nobody else: one row each."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from broker.keys import KeyPurpose, derive_key
from broker.messages import MAX_MESSAGE_BYTES
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.proofs.tokens import Audience, Tokens
from gateway.serve import MAX_WEBSOCKET_BYTES
from gateway.settings import Settings
from tests.gateway.conftest import SECRET, WINDOW, World

HELLO: dict[str, Any] = {
    "type": "connection.hello",
    "id": "h",
    "revision": 1,
    "surface": "launcher",
    "engagement": WINDOW,
}
CONSUMER = Principal(role=Role.CONSUMER, account_id="acc")


def tokens(secret: bytes = SECRET, now: float | None = None) -> Tokens:
    at = time.time() if now is None else now
    return Tokens(secret, lambda: at, secrets.token_bytes, resume_s=3_600)


def hello(**fields: Any) -> str:
    return json.dumps({**HELLO, **fields})


def good() -> str:
    return tokens().mint(Audience.WAITING, CONSUMER, 600)


def forged() -> str:
    claims = jwt.decode(good(), options={"verify_signature": False})
    return jwt.encode(claims, b"x" * 32, "HS256")


def unsigned() -> str:
    claims = jwt.decode(good(), options={"verify_signature": False})
    return jwt.encode(claims, "", "none")


def of_another_kind() -> str:
    """A waiting token's claims under another audience's key."""
    claims = jwt.decode(good(), options={"verify_signature": False})
    return jwt.encode(claims, derive_key(SECRET, KeyPurpose.AGENT_TOKEN), "HS256")


def consumer_as_agent() -> str:
    return tokens().mint(Audience.AGENT, CONSUMER, 600)


def expired() -> str:
    return tokens(now=1_000_000.0).mint(Audience.WAITING, CONSUMER, 600)


def foreign() -> str:
    return tokens(b"another deployment's secret, also long").mint(Audience.WAITING, CONSUMER, 600)


@dataclass(frozen=True)
class Row:
    """What is sent first, and how it is answered."""

    name: str
    send: Callable[[], str | bytes]
    code: str
    close: int


FIRST = [
    Row("malformed JSON", lambda: "{", "malformed", 4400),
    Row("not an object", lambda: "[]", "malformed", 4400),
    Row("unknown type", lambda: '{"type":"connection.hallo"}', "malformed", 4400),
    Row("unknown field", lambda: hello(token=good(), shoe=1), "malformed", 4400),
    Row("another message first", lambda: '{"type":"connection.ping"}', "hello_expected", 4400),
    Row("binary frame", lambda: hello(token=good()).encode(), "binary_frame", 4400),
    Row("too large", lambda: '"' + "x" * MAX_MESSAGE_BYTES + '"', "message_too_large", 4400),
    Row("no token", hello, "token_missing", 4401),
    Row("expired token", lambda: hello(token=expired()), "token_expired", 4401),
    Row("forged token", lambda: hello(token=forged()), "token_invalid", 4401),
    Row("unsigned token", lambda: hello(token=unsigned()), "token_invalid", 4401),
    Row("foreign token", lambda: hello(token=foreign()), "token_invalid", 4401),
    Row("token of another kind", lambda: hello(token=of_another_kind()), "token_invalid", 4401),
    Row("consumer as agent", lambda: hello(token=consumer_as_agent()), "token_invalid", 4401),
    Row("no token at all", lambda: hello(token="never"), "token_invalid", 4401),
    Row("forged resume", lambda: hello(resume="gAAAAA-not-sealed"), "token_invalid", 4401),
    Row(
        "another account",
        lambda: hello(token=good(), engagement={"account_id": "other"}),
        "not_permitted",
        4403,
    ),
]


@pytest.mark.parametrize("row", FIRST, ids=lambda row: row.name)
async def test_a_bad_first_message(world: World, row: Row) -> None:
    neighbour = await world.consumer()
    widget = await world.widget()
    await widget.socket.send(row.send())
    assert await widget.closed() == row.close
    (answer,) = widget.got
    assert (answer["type"], answer["code"]) == ("request.refused", row.code)
    assert answer["message"].endswith(".") or answer["code"] == "malformed"
    await neighbour.say(type="connection.ping")
    assert (await neighbour.next())["type"] == "connection.pong"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", "malformed"),
        ('{"type":"session.stop","id":"1"}', "malformed"),
        ('{"type":"connection.ping","extra":1}', "malformed"),
        (hello(), "malformed"),
    ],
)
async def test_a_bad_later_message_is_refused_and_the_widget_stays(
    world: World, sent: str, code: str
) -> None:
    widget = await world.consumer()
    await widget.socket.send(sent)
    assert (await widget.next())["code"] == code
    await widget.say(type="connection.ping")
    assert (await widget.next())["type"] == "connection.pong"


async def test_a_message_beyond_every_bound_is_cut_off(world: World) -> None:
    widget = await world.consumer()
    await widget.socket.send("x" * (MAX_WEBSOCKET_BYTES + 1))
    assert await widget.closed() == 1009


async def test_a_binary_frame_in_a_session_closes(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    widget = await world.consumer()
    await widget.until("session.snapshot")
    await widget.socket.send(b"{}")
    assert await widget.closed() == 4400
    await session.signal.until(lambda: not session.callers)


async def test_a_foreign_origin_is_told_not_to_come_back(world: World) -> None:
    widget = await world.widget(origin="https://evil.example")
    assert await widget.closed() == 4403
    assert widget.got[0]["code"] == "origin_refused"


async def test_a_page_that_wraps_the_widgets_may_connect_once_it_is_listed(
    settings: Settings,
) -> None:
    brand = replace(settings.accounts["acc"], allowed_origins=("https://desk.example.com",))
    world = World(replace(settings, accounts={**settings.accounts, "acc": brand}))
    await world.start()
    try:
        for origin in ("https://desk.example.com", None):
            widget = await world.widget(origin=origin)
            answer = await widget.hello(token=world.waiting_token(), engagement=WINDOW)
            assert answer["type"] == "connection.welcome"
        for origin in ("https://desk.example.com.evil.example", "http://desk.example.com", "null"):
            widget = await world.widget(origin=origin)
            assert await widget.closed() == 4403
    finally:
        await world.stop()


async def test_a_token_in_the_address_proves_nobody(world: World) -> None:
    widget = await world.widget(query=f"?token={world.agent_token()}")
    await widget.greet(surface="agent_frame")
    assert await widget.closed() == 4401
    assert widget.got[0]["code"] == "token_missing"


async def test_another_protocol_is_refused(world: World) -> None:
    widget = await world.widget(subprotocols=None)
    assert await widget.closed() == 4400
    assert widget.got[0]["code"] == "protocol_unsupported"


async def test_silence_is_closed_when_the_hello_is_due(settings: Settings) -> None:
    world = World(replace(settings, limits=replace(settings.limits, hello_timeout_s=0.05)))
    await world.start()
    try:
        silent = await asyncio.gather(*(world.widget() for _ in range(50)))
        assert {await widget.closed() for widget in silent} == {4429}
        assert {widget.got[0]["code"] for widget in silent} == {"hello_timeout"}
        assert len(world.room) == 0
    finally:
        await world.stop()


async def test_one_address_does_not_take_the_room_of_all_others(settings: Settings) -> None:
    limits = replace(settings.limits, connections_before_hello_from_one=3)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        silent = [await world.widget() for _ in range(3)]
        with pytest.raises(InvalidStatus):
            await world.widget()
        assert world.room.refusal("192.0.2.7") is None
        # Who has said who it is counts no more, nor who is gone.
        await silent[0].hello(token=world.waiting_token(), engagement=WINDOW)
        next(each for each in world.room.connections if each.principal is None).close(1001, "")
        assert [await world.widget() for _ in range(2)]
        with pytest.raises(InvalidStatus):
            await world.widget()
    finally:
        await world.stop()


async def test_many_silent_connections_leave_room_for_those_that_speak(
    settings: Settings,
) -> None:
    limits = replace(settings.limits, connections_before_hello=1_000)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        for _ in range(10):
            await asyncio.gather(*(world.widget() for _ in range(40)))
        assert len(world.room) == 400
        widget = await world.consumer()
        await widget.say(type="connection.ping")
        assert (await widget.next())["type"] == "connection.pong"
    finally:
        await world.stop()
