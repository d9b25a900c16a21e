"""`make bench` as it is run: every scenario starts what it needs, reports, and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.command import NOISY, SCENARIOS, main
from benchmarks.process import environment_of, lives
from tests.patience import PATIENCE

LONG_S = 1_800.0 * PATIENCE
MARK = "SWITCHBOARD_BENCH_RUN"
PLOTS = (
    "share that took longer",
    "people in the session",
    "people who are told",
    "requests a second",
    "packets forwarded a second",
    "failover: time line",
    "minutes",
)
"""What is drawn: a distribution, against the size of a session, costs, time lines."""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for Ray's sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="sb-"))
    # As /tmp is: PostgreSQL, which runs as its own user, has a folder in it.
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def marked(run: str) -> list[psutil.Process]:
    """Everything alive that this run has started, also what left its process group."""
    found = []
    for process in psutil.process_iter():
        try:
            if environment_of(process).get(MARK) == run and lives(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.soak
@pytest.mark.timeout(LONG_S)
def test_the_short_set_runs_to_its_end_and_leaves_nothing(short_folder: Path) -> None:
    scratch, report, page = (short_folder / name for name in ("t", "run.json", "run.html"))
    scratch.mkdir()
    run = short_folder.name
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "short", "--json", str(report), "--html", str(page)],
        env={**os.environ, "TMPDIR": str(scratch), MARK: run},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONG_S,
    )
    assert done.returncode in (0, NOISY), done.stdout[-3_000:]
    assert marked(run) == []
    assert [each.name for each in scratch.iterdir()] == []
    whole = json.loads(report.read_text(encoding="utf-8"))
    assert [each["name"] for each in whole["scenarios"]] == [each.name for each in SCENARIOS]
    assert (done.returncode == NOISY) == bool(whole["noise"])
    for scenario in whole["scenarios"]:
        assert scenario["measurements"] or scenario["facts"], scenario["name"]
        silent = [m["side"] for m in scenario["measurements"] if m["missing"]]
        assert silent == [], scenario["name"]
    text = page.read_text(encoding="utf-8")
    assert [what for what in PLOTS if what not in text] == []
    (lifecycle,) = (each for each in whole["scenarios"] if each["name"] == "lifecycle")
    assert lifecycle["facts"]["cold sessions that found no standby"] == "3 of 3"


@pytest.mark.soak
@pytest.mark.timeout(LONG_S)
@pytest.mark.parametrize(
    "words",
    [
        "signaling --without-naive --sessions 1 --loads 50",
        "fanout --sizes 4 --peer none",
        "fanout --sessions 3 --peer none",
    ],
)
def test_signalling_and_fan_out_are_measured_beside_media(words: str, short_folder: Path) -> None:
    report = short_folder / "run.json"
    small = ["--rounds", "1", "--seconds", "2", "--once", "--media", "1"]
    assert main([*words.split(), *small, "--json", str(report)]) in (0, NOISY)
    (scenario,) = json.loads(report.read_text(encoding="utf-8"))["scenarios"]
    measured = {each["side"]: each for each in scenario["measurements"]}
    assert all(each["missing"] == 0 for each in measured.values())
    pairs = {
        name.replace(" beside media", ""): name for name in measured if " beside media" in name
    }
    floor = "floor" if scenario["name"] == "signaling" else "room"
    assert {name.split()[0] for name in pairs} == {"switchboard", floor}
    (idle,) = (name for name in pairs if name.startswith("switchboard"))
    shares = [measured[name]["processor_share"] for name in (idle, pairs[idle])]
    assert shares[1] > shares[0], "media flow"
