"""PostgreSQL by a password that stands in a file only: what `up` and `doctor` are given works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.deployment import join_passfile
from gateway.doctor import Grade, check_database
from tests.ledger import postgres
from tests.operations.cluster import Operator, until
from tests.patience import PATIENCE

PASSWORD = "a password of this test"


@pytest.fixture
def guarded() -> Iterator[str]:
    """The URL of a server that asks its one user for a password."""
    with postgres.server() as server:
        url = f"{server}/postgres"
        asyncio.run(guard(url))
        yield url


async def guard(url: str) -> None:
    """Set the password, and ask for it from the next connection on."""
    engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"ALTER USER ledger PASSWORD '{PASSWORD}'"))
        rules = Path(await connection.scalar(sa.text("SHOW hba_file")))
        await asyncio.to_thread(rules.write_text, "host all all 127.0.0.1/32 scram-sha-256\n")
        await connection.execute(sa.text("SELECT pg_reload_conf()"))
    await engine.dispose()


def test_the_password_file_opens_the_database_and_nothing_else_does(
    guarded: str, tmp_path: Path
) -> None:
    port = urlsplit(guarded).port
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"127.0.0.1:{port}:*:ledger:wrong\n")
    refused = check_database(join_passfile(guarded, passfile))
    assert refused.grade is Grade.FAILURE
    assert "passfile" not in refused.found
    passfile.write_text(f"127.0.0.1:{port}:*:ledger:{PASSWORD}\n")
    assert check_database(join_passfile(guarded, passfile)).grade is Grade.OK


@pytest.mark.timeout(200 * PATIENCE)
def test_a_deployment_keeps_its_records_there(guarded: str, tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"127.0.0.1:{urlsplit(guarded).port}:*:ledger:{PASSWORD}\n")
    with Operator(tmp_path) as operator:
        up = operator.up("--database", guarded, "--database-passfile", str(passfile))
        up.wait_for('"gateway"')
        ready = f"{operator.gateway}/readyz"
        until("ready", lambda: httpx.get(ready, trust_env=False).status_code == 200)
        everything = psutil.Process(up.pid).children(recursive=True)
        words = [word for each in everything for word in each.cmdline()]
        assert len(words) > 20
        assert not [word for word in words if PASSWORD in word]
        operator.down()
        assert up.end() == 0
    assert not (tmp_path / "data" / "ledger.sqlite3").exists()
