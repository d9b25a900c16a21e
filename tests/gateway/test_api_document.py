"""`docs/api.md` and the OpenAPI description name the same operations."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.commands.openapi import describe

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
ROW = re.compile(r"^\| `(GET|POST|PUT) (/\S+)` \| `(\w+)` \|", re.MULTILINE)
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_every_operation_is_in_the_document_and_no_other() -> None:
    documented = {(method, path, name) for method, path, name in ROW.findall(DOCUMENT.read_text())}
    served = {
        (method.upper(), path, operation["operationId"])
        for path, operations in describe()["paths"].items()
        for method, operation in operations.items()
    }
    assert documented == served


def test_every_operation_says_how_it_refuses() -> None:
    for path, operations in describe()["paths"].items():
        for operation in operations.values():
            assert {"400", "401", "404", "429", "503"} <= set(operation["responses"]), path
            refusals = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert "422" not in refusals, "what does not fit is answered with 400"
            for refusal in refusals.values():
                assert refusal["content"] == PROBLEM, path
            assert operation["description"]
