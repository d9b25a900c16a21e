"""The other release of the tests that run two: what the repository held before.

It is that of the commit in which the record before the newest of `tests/contract/releases` was
written.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WHICH = "import actors, broker, gateway as g; print(actors.__path__, broker.__path__, g.__path__)"


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def put_other_release(root: Path) -> Path:
    """Put the sources of the other release into a new folder; returns it."""
    commits = git("log", "-2", "--format=%H", "--", "tests/contract/releases").decode().split()
    assert git("rev-parse", "--is-shallow-repository").strip() == b"false", (
        "This clone is shallow, so it has no other release: `git fetch --unshallow`."
    )
    _, written = commits
    root.mkdir()
    subprocess.run(["tar", "-x", "-C", root], input=git("archive", written), check=True)
    used = subprocess.run([sys.executable, "-c", WHICH], cwd=root, capture_output=True, check=True)
    assert used.stdout.decode().count(str(root)) == 3
    return root
