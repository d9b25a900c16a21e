"""Generated files say what their sources say."""

from __future__ import annotations

from broker.messages import BROKER_MESSAGES, CLIENT_MESSAGES
from broker.messages.login import LOGIN_MESSAGES
from gateway.commands import generate


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
