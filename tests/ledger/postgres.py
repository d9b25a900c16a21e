"""Debian's PostgreSQL on a directory of its own, as its own user, on a free port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.postgres import find_binaries
from tests.patience import PATIENCE
from tests.ports import free_port

_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3
"""Bytes that must be free there: each database of a test takes seven megabytes."""
_INSTALL_S = 300 * PATIENCE
_START_S = 60 * PATIENCE


def installed() -> Path:
    """Return the folder of the programs, installing Debian's package if that may be done."""
    binaries = find_binaries()
    if binaries is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "postgresql"]):
            subprocess.run(
                ["apt-get", "-qq", *words],
                env=environment,
                check=True,
                timeout=_INSTALL_S,
                capture_output=True,
            )
        binaries = find_binaries()
    if binaries is None:
        pytest.fail("PostgreSQL is needed (Debian and Ubuntu: apt-get install postgresql).")
    return binaries


def place() -> str | None:
    """Where the data lies: in memory if there is room, since a disk makes databases slowly."""
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    return str(_MEMORY) if roomy else None


class Server:
    """A server that can be crashed and frozen. `close` ends it and removes its folder."""

    def __init__(self) -> None:
        self._binaries = installed()
        # PostgreSQL refuses to run as root; the package brought a user for it.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="switchboard-postgres-", dir=place()))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._port = free_port()
        self.url = f"postgresql://ledger@127.0.0.1:{self._port}"
        """Without the database's name."""
        self._running = False

    def start(self) -> None:
        """Start it, on a new folder the first time; what was committed before is there."""
        if not (self._folder / "data").exists():
            self._run("initdb", "--auth=trust", "--username=ledger", "--no-sync", "--encoding=UTF8")
        options = (
            f"-F -p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
            " -c max_connections=40"
        )
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")
        self._running = True

    def crash(self) -> None:
        """End it at once, as a power cut does: connections are cut, nothing is written."""
        if self._running:
            self._run("pg_ctl", "-m", "immediate", "-w", "stop")
            self._running = False

    def processes(self) -> list[psutil.Process]:
        """The server and all its workers, to be stopped by a signal."""
        first = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(first)
        return [server, *server.children(recursive=True)]

    def close(self) -> None:
        """End it and remove its folder."""
        try:
            self.crash()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, "-D", self._folder / "data", *arguments],
            user=self._user,
            cwd=self._folder,
            check=True,
            timeout=_START_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def server() -> Iterator[str]:
    """Run a server; give the URL of its first database, without the database's name."""
    running = Server()
    try:
        running.start()
        yield running.url
    finally:
        running.close()


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    engine = create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()
