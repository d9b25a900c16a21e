"""Generated files say what their sources say."""

from __future__ import annotations

import pytest

from broker.messages import BROKER_MESSAGES, CLIENT_MESSAGES
from broker.messages.login import LOGIN_MESSAGES
from gateway.commands import generate
from gateway.commands.generate_shapes import BROKER_SHAPES, CLIENT_SHAPES
from gateway.commands.wire_schema import Node


def test_generated_files_are_up_to_date() -> None:
    stale = [
        path.name
        for path, text in generate.outputs().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `make generate`"


def test_every_message_stands_in_the_document() -> None:
    text = generate.PROTOCOL_MD.read_text(encoding="utf-8")
    for cls in (*CLIENT_MESSAGES, *BROKER_MESSAGES, *LOGIN_MESSAGES):
        assert f"### `{cls.model_fields['type'].default}`" in text


def test_every_part_and_message_is_explained() -> None:
    assert [name for name, _, _ in generate.structures() if not generate.class_doc(name)] == []


@pytest.mark.parametrize(
    ("schema", "strict", "open_to_words"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 64}, "text(1, 64)", "text(1, 64)"),
        ({"type": "integer", "maximum": 5}, "whole(-Infinity, 5)", "whole(-Infinity, 5)"),
        ({"enum": ["seat", "screen"]}, "words('seat', 'screen')", "word"),
        (
            {"anyOf": [{"type": "array", "items": {"enum": ["seat"]}}, {"type": "null"}]},
            "orNull(list(words('seat')))",
            "orNull(list(word))",
        ),
    ],
)
def test_a_shape_is_written_as_javascript(
    schema: dict[str, object], strict: str, open_to_words: str
) -> None:
    node = Node.model_validate(schema)
    assert CLIENT_SHAPES.expression(node) == strict
    assert BROKER_SHAPES.expression(node) == open_to_words


@pytest.mark.parametrize(
    "schema", [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "object"}]
)
def test_a_shape_that_the_reader_does_not_know_is_not_written(schema: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="It "):
        CLIENT_SHAPES.expression(Node.model_validate(schema))
