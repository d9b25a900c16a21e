"""What `docs/performance.md` says can be run, and each of its numbers says where it comes from."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.command import SCENARIOS, parser
from benchmarks.histogram import enough
from benchmarks.scenarios.failover import KILLS_PER_CALL

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "performance.md"
MEASURED = re.compile(r"\d ?(?:ms|µs|s|seconds|MB|GB|%)(?=\W)")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
NAMES = "|".join(scenario.name for scenario in SCENARIOS)
WAY = re.compile(rf"`(?:{NAMES})(?:\s+--[^`]+)?`|\bby hand\b", re.IGNORECASE)


def documented() -> list[str]:
    """Find the commands that the report names, each a scenario with options."""
    text = REPORT.read_text(encoding="utf-8")
    return sorted(
        {" ".join(found.split()) for found in re.findall(rf"`((?:{NAMES})\s+--[^`]+)`", text)}
    )


def latest() -> list[str]:
    """Return the rows of the table of the latest numbers."""
    text = REPORT.read_text(encoding="utf-8")
    return text.split("## Latest numbers")[1].split("\n\n")[2].splitlines()[2:]


@pytest.mark.parametrize("words", documented())
def test_a_command_of_the_report_is_one(words: str) -> None:
    asked = [word for word in shlex.split(words) if word not in ("FILE", "URL")]
    if asked[-1] in ("--target", "--peer"):
        asked.append(str(REPORT))
    assert parser().parse_args(asked).command == asked[0]


def test_the_report_has_every_scenario_and_the_numbers_their_commands() -> None:
    text = REPORT.read_text(encoding="utf-8")
    for scenario in SCENARIOS:
        assert f"| `{scenario.name}` |" in text
    said = [row.rstrip(" |").rsplit("|", 1)[1] for row in latest()]
    assert len(said) > 20
    assert not said[0].startswith(" the same")
    for what in said:
        assert re.search(r"`[a-z]+( [^`]+)?`, 20\d\d-\d\d-\d\d|^ the same", what), what


VALUES: dict[str, Callable[[argparse.Namespace], float]] = {
    "failover": lambda options: 2 * KILLS_PER_CALL * options.calls,
    "fanout": lambda options: options.rate * options.seconds * max(1, options.sessions),
    "signaling": lambda options: options.rate * options.seconds,
}
"""How many latencies a p99 that is judged is of, where the options say it."""


def test_no_p99_is_met_or_missed_that_its_run_had_too_few_values_for() -> None:
    options, judged = argparse.Namespace(), 0
    for row in latest():
        name, *_, verdict, command = row.strip("|").split("|")
        if (found := re.match(r" `([^`]+)`", command)) is not None:
            options = parser().parse_args(shlex.split(found[1]))
        if "p99" in name and options.command in VALUES and re.search("met|missed", verdict):
            judged += 1
            assert VALUES[options.command](options) >= enough(99.0), row
    assert judged >= 3


def test_the_front_page_has_the_reports_numbers_of_what_is_missed() -> None:
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"- Aimed at and missed.*?(?=\n- |\n\n|\Z)", front, re.DOTALL)
    rows = REPORT.read_text(encoding="utf-8").splitlines()
    missed = " ".join(row for row in rows if "**missed**" in row)
    numbers = re.findall(r"\d+\.\d+", told)
    assert len(numbers) >= 4
    assert [number for number in numbers if not re.search(rf"\b{number}", missed)] == []


def sources(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each paragraph, item and table that has a number, and whether it says of what run.

    A table has the paragraph before it.
    """
    sourced = False
    for block in re.split(r"\n\n+|\n(?=- )", text):
        is_table = block.startswith("|")
        if not is_table:
            sourced = bool(DATE.search(block) and WAY.search(block))
        if is_table or MEASURED.search(f"{block}\n"):
            yield block, sourced


def test_every_number_of_the_report_says_when_and_how_it_was_measured() -> None:
    text = REPORT.read_text(encoding="utf-8").split("## Latest numbers")[1]
    found = [(b, ok) for b, ok in sources(text) if not b.startswith("| Target |")]
    assert len(found) > 20
    assert [block[:100] for block, ok in found if not ok] == []


def test_a_number_out_of_nowhere_is_found() -> None:
    text = "It takes 3 ms.\n\n| a | b |\n\n- By hand, 2026-11-26: 4 ms\n- 5 s as above\n\nNothing."
    assert [ok for _, ok in sources(text)] == [False, False, True, False]


def test_make_bench_writes_one_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "bench"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "mkdir -p artifacts" in asked
    (line,) = (line for line in asked.splitlines() if " -m benchmarks " in line)
    # As the line before has left it; a fresh clone has no such folder.
    (tmp_path / "artifacts").mkdir()
    monkeypatch.chdir(tmp_path)
    options = parser().parse_args(shlex.split(line.split(" -m benchmarks ")[1]))
    assert options.command == "short"
    assert options.json.parent == options.html.parent == Path("artifacts")
