"""PostgreSQL by a password that stands in a file only: what `up` and `doctor` are given works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.accounts import hash_key
from gateway.commands.deployment import join_passfile
from gateway.commands.doctor import Grade, check_database
from tests.ledger import postgres
from tests.operations.cluster import WAIT_S, Operator, Process, until
from tests.operations.test_up import level
from tests.patience import PATIENCE

PASSWORD = "a password of this test"
TWO = ("acme", "globex")
"""An account of each of two shards."""


def key_of(name: str) -> str:
    return f"swk_{name}_{'k' * 32}"


def account(name: str) -> str:
    return (
        f'[accounts.{name}]\ntoken_url = "https://crm.example.com/token"\n'
        f'[[accounts.{name}.api_keys]]\nkey_id = "{name}"\nhash = "{hash_key(key_of(name))}"\n'
    )


def begun(operator: Operator, name: str) -> int:
    """Start a session of an account by its key; returns the status."""
    body = {
        "engagement": {"account_id": name, "rt_session_id": f"rt-{name}"},
        "owner": {"agent_id": "7", "name": "Ann"},
    }
    return httpx.post(
        f"{operator.gateway}/v1/sessions",
        json=body,
        headers={"Authorization": f"Bearer {key_of(name)}", "Idempotency-Key": name},
        trust_env=False,
        timeout=30 * PATIENCE,
    ).status_code


def command_lines(up: Process) -> list[list[str]]:
    """What every process below is shown as; those that end meanwhile are left out."""
    found = []
    for each in psutil.Process(up.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(each.cmdline())
    return found


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


@pytest.fixture
def words(guarded: str, tmp_path: Path) -> tuple[str, ...]:
    """What `up` is told of the database."""
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"127.0.0.1:{urlsplit(guarded).port}:*:ledger:{PASSWORD}\n")
    return "--database", guarded, "--database-passfile", str(passfile)


@contextmanager
def two_ledgers(operator: Operator, words: tuple[str, ...]) -> Iterator[Process]:
    """Run a deployment with a session of each ledger; both stay live in the database."""
    (operator.folder / "accounts.toml").write_text("".join(map(account, TWO)))
    up = operator.up(*words, "--ledger-shards", "2")
    up.wait_for('"gateway"')
    ready = f"{operator.gateway}/readyz"
    until("ready", lambda: httpx.get(ready, trust_env=False, timeout=WAIT_S).status_code == 200)
    for name in TWO:
        until(f"a session of {name}", lambda: begun(operator, name) == 201)  # noqa: B023
    until("both in the level", lambda: level(operator, "switchboard_sessions_live") == 2)
    yield up
    status, said = operator.run("down", "--data-dir", str(operator.folder / "data"))
    assert (status, "2 sessions are live" in said) == (2, True), said
    operator.down("--drop-live")
    assert up.end() == 0


@pytest.mark.timeout(200 * PATIENCE)
def test_a_deployment_keeps_its_records_there(words: tuple[str, ...], tmp_path: Path) -> None:
    with Operator(tmp_path) as operator, two_ledgers(operator, words) as up:
        lines = command_lines(up)
        assert sum(line[:1] == ["ray::LedgerHost"] for line in lines) == 2
        shown = [word for line in lines for word in line]
        assert len(shown) > 20
        assert not [word for word in shown if PASSWORD in word]
    assert not (tmp_path / "data" / "ledger.sqlite3").exists()


@pytest.mark.soak
@pytest.mark.timeout(200 * PATIENCE)
def test_live_sessions_of_two_ledgers_are_refused_to_one(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    with Operator(tmp_path) as operator:
        with two_ledgers(operator, words):
            pass
        up = operator.up(*words)
        assert up.end() == 2
        assert "other_ledger_shards: 2 sessions are live" in up.lines[-1]
