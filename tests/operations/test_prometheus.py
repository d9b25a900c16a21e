"""Prometheus itself reads what lies in deploy/; `promql.py` is a small part of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.operations.test_metrics import ALERTS, panel_queries
from tests.packages import installed
from tests.patience import PATIENCE

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400 * PATIENCE)]


def checked(path: Path) -> tuple[int, str]:
    """Let Prometheus check a file of rules; its status and what it says."""
    program = installed("prometheus", lambda: shutil.which("promtool"))
    done = subprocess.run(
        [program, "check", "rules", path], capture_output=True, text=True, timeout=60 * PATIENCE
    )
    return done.returncode, done.stdout + done.stderr


def test_prometheus_takes_the_rules_and_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    status, said = checked(ALERTS)
    assert status == 0, said
    queries = panel_queries()
    rules = [{"record": f"panel:{at}", "expr": expr} for at, expr in enumerate(queries)]
    panels = tmp_path / "panels.yaml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    status, said = checked(panels)
    assert (status, f"{len(queries)} rules found" in said) == (0, True), said
    panels.write_text(panels.read_text().replace("sum", "summe", 1))
    assert checked(panels)[0] != 0
