"""The runbook, the security page and the relay's page name only what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
MEDIA = (ROOT / "docs" / "media.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "fewest"), [(SECURITY, 30), (MEDIA, 8)], ids=["security", "media"]
)
def test_every_test_that_a_page_names_exists(page: str, fewest: int) -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page))
    assert len(named) > fewest
    there = {path: functions_in(ROOT / path) for path in {path for path, _ in named}}
    assert [f"{path}::{name}" for path, name in sorted(named) if name not in there[path]] == []


def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


@pytest.mark.parametrize(("chapter", "points"), [("17.1", 2), ("17.2", 8)])
def test_each_point_of_the_standard_has_its_row(chapter: str, points: int) -> None:
    rows = re.findall(rf"^\| {re.escape(chapter)}\.(\d+) \|", SECURITY, re.MULTILINE)
    assert [int(each) for each in rows] == list(range(1, points + 1))


def test_files_that_the_documents_name_exist() -> None:
    named = set(re.findall(r"`((?:deploy|docs|gateway|actors)/[\w./-]+)`", OPERATIONS + SECURITY))
    assert len(named) > 5
    assert {each for each in named if not (ROOT / each).exists()} == set()


def test_every_long_chaos_test_stands_among_the_faults_that_were_tried() -> None:
    section = OPERATIONS.split("## What faults were tried")[1].split("\n## ")[0]
    found = (ROOT / "tests" / "chaos").glob("test_*.py")
    long = {path.name for path in found if "pytest.mark.soak" in path.read_text(encoding="utf-8")}
    assert len(long) > 5
    assert {name for name in long if f"{name}`" not in section} == set()
