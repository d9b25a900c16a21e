"""What runs alone is named where the suite is divided, and what is not named wants no machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ALONE_OF, alone

TESTS = Path(__file__).parents[1]
WANTS = {
    "chaos": r"\b(Deployment\(|open_town\(|streaming\(|\w+: (Deployment|Call)\b)",
    "operations": r"\b(RayCluster|Demo|Operator)\(",
    "benchmarks": r"\b(Bench\.open|Child\.start|settled|create_subprocess_exec)\(",
    "browser": r"\b(people: People|demo: Deployment|Fair\(|fair\w*\()",
}
"""By category what in a file says that it starts a cluster, measures, or brings people together."""


@pytest.mark.parametrize("name", ALONE_OF)
def test_every_file_that_is_named_is_there(name: str) -> None:
    files = {each.stem.removeprefix("test_") for each in (TESTS / name).glob("test_*.py")}
    assert ALONE_OF[name] - files == set()


@pytest.mark.parametrize("name", WANTS)
def test_what_wants_the_machine_is_named(name: str) -> None:
    found = {
        path.name
        for path in (TESTS / name).glob("test_*.py")
        if re.search(WANTS[name], path.read_text(encoding="utf-8"))
    }
    assert len(found) >= 3
    assert {each for each in found if not alone(f"tests/{name}/{each}::test")} == set()
