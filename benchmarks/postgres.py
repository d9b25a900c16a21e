"""Debian's PostgreSQL on a folder of its own, as its own user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.process import ChildFailed

PROGRAMS = Path("/usr/lib/postgresql")
START_SECONDS = 60.0
PLACES = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))
"""Where the data may lie; `TMPDIR` may be a folder that only root can enter."""


def find_binaries() -> Path | None:
    """Return the folder that holds `initdb`, or `None`."""
    for candidate in sorted(PROGRAMS.glob("*/bin/initdb"), reverse=True):
        return candidate.parent
    found = shutil.which("initdb")
    return None if found is None else Path(found).parent


def is_open(folder: Path) -> bool:
    """Whether a user to whom nothing of it belongs can go there."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


class Server:
    """A server that may be started again. `close` ends it and removes its folder."""

    def __init__(
        self,
        binaries: Path,
        port: int,
        *,
        place: str | None = None,
        options: str = "",
        patience: float = 1.0,
    ) -> None:
        self._binaries = binaries
        self._options = options
        self._limit = START_SECONDS * patience
        # PostgreSQL refuses to run as root; the package brought a user for it.
        self._user = "postgres" if os.geteuid() == 0 else None
        if place is None and self._user is not None:
            place = next((str(each) for each in PLACES if is_open(each)), None)
        self.folder = Path(tempfile.mkdtemp(prefix="switchboard-postgres-", dir=place))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._port = port
        self.url = f"postgresql://ledger@127.0.0.1:{port}"
        """Without the database's name."""
        self._running = False

    def start(self) -> None:
        """Start it, on a new folder the first time; what was committed before is there.

        Raises:
            ChildFailed: a program of PostgreSQL's failed, with what that said.
        """
        if not (self.folder / "data").exists():
            self._run("initdb", "--auth=trust", "--username=ledger", "--no-sync", "--encoding=UTF8")
        listen = f"-p {self._port} -k {self.folder} -c listen_addresses=127.0.0.1"
        options = f"{listen} {self._options}"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")
        self._running = True

    def crash(self) -> None:
        """End it at once, as a power cut does: connections are cut, nothing is written."""
        if self._running:
            self._run("pg_ctl", "-m", "immediate", "-w", "stop")
            self._running = False

    def close(self) -> None:
        """End it and remove its folder."""
        try:
            self.crash()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        # Not a pipe: the server that pg_ctl starts would hold it open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [self._binaries / program, "-D", self.folder / "data", *arguments],
                user=self._user,
                cwd=self.folder,
                timeout=self._limit,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            said.seek(0)
            if done.returncode != 0:
                words = said.read().decode(errors="replace").strip()
                raise ChildFailed(f"PostgreSQL's {program}: {words or done.returncode}")


@contextmanager
def server(binaries: Path) -> Iterator[str]:
    """Run a server that flushes what it commits; yields the URL of its database."""
    running = Server(binaries, free_port())
    try:
        running.start()
        yield f"{running.url}/postgres"
    finally:
        running.close()
