"""`make bench` as it stands in the Makefile: every scenario, for some ten minutes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command import NOISY, SCENARIOS
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
ASKED = re.compile(r"^bench:.*?-m benchmarks ([^\n]+)$", re.DOTALL | re.MULTILINE)


@pytest.mark.soak
@pytest.mark.timeout(1800 * PATIENCE)
def test_a_short_run_of_every_scenario_ends_in_one_report(tmp_path: Path) -> None:
    found = ASKED.search((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert found is not None
    words = found[1].replace("artifacts/", f"{tmp_path}/").split()
    ended = subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, check=False)
    assert ended.returncode in (0, NOISY), "a missed target is a finding, no failure"
    run = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    names = [scenario.name for scenario in SCENARIOS]
    assert [scenario["name"] for scenario in run["scenarios"]] == names
    assert all(scenario["measurements"] or scenario["facts"] for scenario in run["scenarios"])
    assert (ended.returncode == NOISY) == bool(run["noise"])
    page = (tmp_path / "benchmarks.html").read_text(encoding="utf-8")
    for name in names:
        assert f"<h2 id='{name}'>" in page
    for plot in (
        "share that took longer",
        "people in the session",
        "requests a second",
        "time line",
    ):
        assert plot in page
