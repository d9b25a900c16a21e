"""PostgreSQL for a benchmark: where its data may lie."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from benchmarks import postgres
from benchmarks.postgres import Server, is_open


def test_data_of_another_user_lie_where_that_one_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    private = Path(tempfile.mkdtemp(dir="/tmp"))
    within = private / "within"
    within.mkdir(mode=0o755)
    chosen: list[str | None] = []

    def chown(path: Path, user: str) -> None:
        chosen.append(user)

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.chown", chown)
    monkeypatch.setattr(postgres, "PLACES", (within, Path("/tmp")))
    try:
        assert not is_open(within)
        elsewhere = Server(Path("/bin"), 1)
        assert elsewhere.folder.parent == Path("/tmp")
        elsewhere.close()
        private.chmod(0o755)
        assert is_open(within)
        there = Server(Path("/bin"), 1)
        assert there.folder.parent == within
        there.close()
    finally:
        shutil.rmtree(private)
    assert chosen == ["postgres", "postgres"]
