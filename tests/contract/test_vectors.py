"""The vectors, read by Python. JavaScript reads the same files (`tests/contract/reader`).

`*-valid.json` and `*-invalid.json` hold messages by direction; `broker-later.json` holds what a
later broker may send, which a widget must read or ignore and the broker's own models refuse.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from broker.errors import Malformed
from broker.messages import (
    BROKER_MESSAGES,
    CLIENT_MESSAGES,
    BrokerMessage,
    decode_client_message,
    encode,
)
from broker.messages.login import LOGIN_MESSAGES, LoginMessage

HERE = Path(__file__).parent
BROKER: TypeAdapter[BrokerMessage] = TypeAdapter(BrokerMessage)
LOGIN: TypeAdapter[LoginMessage] = TypeAdapter(LoginMessage)


class Vector(BaseModel):
    """One message, what it shows, and the place that a refusal names."""

    name: str
    message: object
    place: str = ""
    read: bool = True

    def text(self) -> bytes:
        return json.dumps(self.message).encode()


def vectors(name: str) -> list[Vector]:
    text = (HERE / "vectors" / f"{name}.json").read_text(encoding="utf-8")
    return TypeAdapter(list[Vector]).validate_json(text)


def title(vector: object) -> str:
    return vector.name if isinstance(vector, Vector) else str(vector)


def contained(part: object, whole: object) -> bool:
    """Whether everything in `part` stands in `whole` with the same value."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and contained(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(contained, part, whole))
    return part == whole


@pytest.mark.parametrize("vector", vectors("client-valid"), ids=title)
def test_the_broker_reads_what_a_widget_may_send(vector: Vector) -> None:
    message = decode_client_message(vector.text())
    assert contained(vector.message, json.loads(encode(message)))
    assert decode_client_message(encode(message)) == message


@pytest.mark.parametrize("vector", vectors("client-invalid"), ids=title)
def test_the_broker_refuses_the_rest_and_names_the_place(vector: Vector) -> None:
    with pytest.raises(Malformed) as refusal:
        decode_client_message(vector.text())
    assert refusal.value.message.startswith(f"{vector.place}: ")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"type":"connection.ping"', b"NaN"])
def test_what_is_not_json_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        decode_client_message(text)


def test_a_refusal_never_repeats_the_value() -> None:
    text = b'{"type":"session.start","id":"1","mode":"SECRET","SECRET-FIELD":1}'
    with pytest.raises(Malformed) as refusal:
        decode_client_message(text)
    assert "SECRET" not in refusal.value.message.replace("SECRET-FIELD", "")


@pytest.mark.parametrize("vector", vectors("broker-valid"), ids=title)
def test_what_the_broker_writes_is_the_vector_to_the_letter(vector: Vector) -> None:
    assert json.loads(encode(BROKER.validate_json(vector.text()))) == vector.message


@pytest.mark.parametrize("vector", vectors("login-valid"), ids=title)
def test_what_a_frame_that_logs_in_is_told_is_the_vector_to_the_letter(vector: Vector) -> None:
    assert json.loads(encode(LOGIN.validate_json(vector.text()))) == vector.message


@pytest.mark.parametrize("vector", vectors("login-invalid"), ids=title)
def test_a_frame_that_logs_in_is_never_told_the_rest(vector: Vector) -> None:
    with pytest.raises(ValidationError):
        LOGIN.validate_json(vector.text())


@pytest.mark.parametrize("name", ["broker-invalid", "broker-later"])
def test_the_broker_never_writes_the_rest(name: str) -> None:
    for vector in vectors(name):
        with pytest.raises(ValidationError):
            BROKER.validate_json(vector.text())


@pytest.mark.parametrize(
    ("name", "union"),
    [
        ("client-valid", CLIENT_MESSAGES),
        ("broker-valid", BROKER_MESSAGES),
        ("login-valid", LOGIN_MESSAGES),
    ],
)
def test_every_message_has_a_vector(name: str, union: tuple[type[BaseModel], ...]) -> None:
    shown = {v.message["type"] for v in vectors(name) if isinstance(v.message, dict)}
    assert shown == {cls.model_fields["type"].default for cls in union}
