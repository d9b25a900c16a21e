"""Debian's PostgreSQL on a directory of its own, as its own user, on a free port."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

_INSTALL_S = 300
_START_S = 60


def find_binaries() -> Path | None:
    """Return the folder that holds `initdb`, or `None`."""
    for candidate in sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True):
        return Path(candidate).parent
    found = shutil.which("initdb")
    return None if found is None else Path(found).parent


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


@contextmanager
def server() -> Iterator[str]:
    """Run a server; give the URL of its first database, without the database's name."""
    binaries = installed()
    # PostgreSQL refuses to run as root; the package brought a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="switchboard-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [binaries / program, "-D", folder / "data", *arguments],
            user=user,
            cwd=folder,
            check=True,
            timeout=_START_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    try:
        run("initdb", "--auth=trust", "--username=ledger", "--no-sync", "--encoding=UTF8")
        options = f"-F -p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=40"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://ledger@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    engine = create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()
