"""Debian's PostgreSQL for tests: in memory if there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from benchmarks import postgres
from benchmarks.postgres import find_binaries
from tests.packages import installed
from tests.patience import PATIENCE
from tests.ports import free_port

_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3
"""Bytes that must be free there: each database of a test takes seven megabytes."""


def binaries() -> Path:
    """Return the folder of the programs."""
    return installed("postgresql", find_binaries)


def place() -> str | None:
    """Where the data lies: in memory if there is room, since a disk makes databases slowly."""
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    return str(_MEMORY) if roomy else None


class Server(postgres.Server):
    """A server that can be crashed and frozen."""

    def __init__(self) -> None:
        super().__init__(
            binaries(),
            free_port(),
            place=place(),
            options="-F -c max_connections=40",
            patience=PATIENCE,
        )

    def processes(self) -> list[psutil.Process]:
        """The server and all its workers, to be stopped by a signal."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(first)
        return [server, *server.children(recursive=True)]


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
    async with _connected(url) as connection:
        await connection.execute(sa.text(statement))


async def value(url: str, statement: str) -> object:
    """The one value that a statement asks for; `None` where there is none."""
    async with _connected(url) as connection:
        return (await connection.execute(sa.text(statement))).scalar_one_or_none()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()
