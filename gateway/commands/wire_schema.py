"""The wire as JSON schema: what is generated from it is read here."""

from __future__ import annotations

import re
from typing import get_args

from pydantic import BaseModel, Field, TypeAdapter

from broker.messages import BrokerMessage, ClientMessage, login, parts


class Node(BaseModel):
    """The part of a JSON schema that the wire uses."""

    ref: str | None = Field(None, alias="$ref")
    any_of: list[Node] = Field([], alias="anyOf")
    const: str | None = None
    enum: list[str] = []
    type: str | None = None
    items: Node | None = None
    pattern: str | None = None
    properties: dict[str, Node] = {}
    required: list[str] = []
    min_length: int | None = Field(None, alias="minLength")
    max_length: int | None = Field(None, alias="maxLength")
    min_items: int | None = Field(None, alias="minItems")
    max_items: int | None = Field(None, alias="maxItems")
    minimum: float | None = None
    maximum: float | None = None


class Schema(Node):
    """A schema with its definitions."""

    defs: dict[str, Node] = Field(alias="$defs")


CLIENT = Schema.model_validate(TypeAdapter(ClientMessage).json_schema())
BROKER = Schema.model_validate(TypeAdapter(BrokerMessage).json_schema())
LOGIN = Schema.model_validate(TypeAdapter(login.LoginMessage).json_schema())


def words_of(node: Node) -> list[str]:
    """Return the closed set a string is taken from; empty when it is open."""
    if node.const is not None:
        return [node.const]
    if node.pattern and (match := re.fullmatch(r"\^\(([\w|]+)\)\$", node.pattern)):
        return match[1].split("|")
    return node.enum


def client_classes() -> tuple[type[parts.Part], ...]:
    return get_args(get_args(ClientMessage)[0])


def broker_classes() -> tuple[type[parts.Part], ...]:
    return get_args(get_args(BrokerMessage)[0])
