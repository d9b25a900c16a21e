"""What the two commands say on a machine that lacks something: one sentence, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE

pytestmark = pytest.mark.timeout(400 * PATIENCE)

ROOT = Path(__file__).resolve().parents[2]
SENTENCE_S = 300 * PATIENCE


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What `make demo` reads before there is an environment."""
    folder = tmp_path / "clone"
    (folder / ".ci").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/install"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make_demo(clone: Path, **environment: str) -> tuple[int, list[str]]:
    """Run `make demo`; returns its status and what it said, but for make's own lines."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PIP_"))}
    done = subprocess.run(
        ["make", "--no-print-directory", "demo"],
        cwd=clone,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=SENTENCE_S,
    )
    lines = (done.stdout + done.stderr).splitlines()
    return done.returncode, [line for line in lines if line and not line.startswith("make")]


def test_a_python_that_is_too_old_is_named_with_what_to_do(clone: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "mktemp", "rm", "make", "sh"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    old = programs / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    status, lines = make_demo(clone, PATH=str(programs), PYTHON="")
    assert status != 0
    assert lines == [
        "Switchboard needs Python 3.11 or newer and found Python 3.9.2. "
        "Install it, or name it: make PYTHON=/path/to/python3.11"
    ]
    assert not (clone / ".venv").exists()


def test_an_unreachable_package_index_is_named_with_what_to_do(clone: Path) -> None:
    # Port 9 of loopback: nothing listens, and nothing leaves this machine.
    nowhere = "http://127.0.0.1:9/simple"
    status, lines = make_demo(
        clone, PIP_INDEX_URL=nowhere, PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="1"
    )
    assert status != 0
    assert lines[-1].startswith("The packages could not be fetched because the package index")
    assert "connect to the network and start again" in lines[-1]
    assert not (clone / ".venv" / "demo.installed").exists()
