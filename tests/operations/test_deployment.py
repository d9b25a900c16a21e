"""What `switchboard up` refuses, in one sentence that says what to do; and `down`."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from gateway.accounts import hash_key
from gateway.commands import down, ray_stranger
from gateway.commands.command import app
from gateway.commands.deployment import Deployment, read_ports
from gateway.commands.running import RunFile
from gateway.commands.up import cluster_settings, gateway_settings
from gateway.settings import BadSettings
from tests.operations.cluster import ACCOUNTS

RUNNER = CliRunner()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    for name, mode in (("secret", 0o600), ("passfile", 0o600), ("open", 0o644)):
        (tmp_path / name).write_text("0" * 64)
        (tmp_path / name).chmod(mode)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--origin http://video.example.com", "Browsers give no camera"),
        ("--origin https://video.example.com", "--trusted-proxy"),
        ("--origin https://video.example.com --trusted-proxy *", "forge"),
        ("--origin https://video.example.com --trusted-proxy proxy.internal", "is no network"),
        ("--metrics-network monitoring", "is no network"),
        ("--origin https://a.example/path", "is no origin"),
        ("--certificate {0}/secret", "belong together"),
        ("--certificate {0}/secret --certificate-key {0}/secret", "begins with https"),
        (
            "--origin https://localhost:1 --certificate {0}/secret --certificate-key {0}/secret",
            "no certificate",
        ),
        ("--port 70000", "is no port"),
        ("--standbys 0", "at least one standby"),
        ("--reserve 1001", "--reserve goes from 0 (none) to 1000"),
        ("--vacate-below 0.9", "from 0 (never) to 0.8"),
        ("--ledger-shards 2", "SQLite serves one ledger"),
        ("--ledger-shards 2 --database sqlite:////x", "SQLite serves one ledger"),
        ("--ledger-shards 0 --database postgresql://u@h/d", "--ledger-shards goes from 1"),
        ("--ledger-shards 65 --database postgresql://u@h/d", "--ledger-shards goes from 1"),
        (
            "--ledger-shards 2 --database postgresql://u@h/d --vacate-below 0.5",
            "goes with one ledger",
        ),
        ("--accounts {0}/none", "cannot be read"),
        ("--secret-file {0}/open", "chmod 600"),
        ("--database mysql://u@h/d", "sqlite:///FILE or postgresql"),
        ("--database postgresql://u:hunter2@h/d", "--database-passfile"),
        ("--database postgresql://u@h/d?password=hunter2", "--database-passfile"),
        ("--database postgresql://u@h/d --database-passfile {0}/open", "chmod 600"),
        ("--database sqlite:////x --database-passfile {0}/passfile", "SQLite has no password"),
        ("--media-ports 9-5", "--media-ports"),
        ("--media-ports many", "--media-ports"),
        ("--turn turn:t.example.com", "--turn-secret-file"),
        ("--turn-secret-file {0}/secret", "--turn"),
        ("--turn http://t --turn-secret-file {0}/secret", "is no TURN server"),
        ("--relay-only", "no path without --turn"),
        ("--policy shoe=1", "no value named 'shoe'"),
        ("--address 127.0.0.1:9", "RAY_AUTH_MODE=token"),
    ],
)
def test_what_cannot_work_is_one_sentence(files: Path, words: str, sentence: str) -> None:
    given = ["up", "--accounts", f"{files}/accounts.toml", "--secret-file", f"{files}/secret"]
    given += ["--origin", "http://127.0.0.1:1", "--data-dir", f"{files}/data"]
    result = RUNNER.invoke(app, [*given, *words.format(files).split()])
    assert result.exit_code == 2
    assert sentence in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "hunter2" not in result.output


def test_a_ray_that_serves_strangers_is_not_used(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setattr(ray_stranger, "reception", lambda address: "served")
    given = ["up", "--accounts", f"{files}/accounts.toml", "--secret-file", f"{files}/secret"]
    given += ["--origin", "http://127.0.0.1:1", "--data-dir", f"{files}/data"]
    result = RUNNER.invoke(app, [*given, "--address", "127.0.0.1:9"])
    assert result.exit_code == 2
    assert "Ray runs the code of whoever reaches it" in result.output


@pytest.mark.parametrize("secret", ["none", "open", "short"])
def test_a_webhook_without_a_kept_secret_is_refused_at_start(files: Path, secret: str) -> None:
    (files / "short").write_text("too short")
    (files / "short").chmod(0o600)
    hook = f'endpoint_id = "crm"\nurl = "https://crm.example.com/x"\nsecret_file = "{secret}"\n'
    accounts = files / "accounts.toml"
    accounts.write_text(f"{ACCOUNTS}\n[[accounts.12345678.webhooks]]\n{hook}")
    deployment = Deployment("http://127.0.0.1:1", accounts, files / "secret")
    with pytest.raises(BadSettings, match=secret):
        gateway_settings(deployment)


def test_what_a_deployment_sets_holds_for_every_account_that_sets_nothing_else(
    files: Path,
) -> None:
    accounts = files / "accounts.toml"
    accounts.write_text(f"{ACCOUNTS}\n[accounts.12345678.policy]\nscreen_limit = 2\n")
    policy = (("silent_monitoring", True), ("screen_limit", 3))
    deployment = Deployment("http://127.0.0.1:1", accounts, files / "secret", policy=policy)
    settings = gateway_settings(deployment)
    assert settings.monitors("12345678")
    assert settings.policy_of("12345678") == {"silent_monitoring": True, "screen_limit": 2}


def test_down_says_which_gateway_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(down, "STOP_S", 0.3)
    text = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    )
    stubborn = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert stubborn.stdin is not None
    assert stubborn.stdout is not None
    try:
        stubborn.stdout.readline()
        began = psutil.Process(stubborn.pid).create_time()
        run = RunFile(stubborn.pid, began, "http://127.0.0.1:1", "http://127.0.0.1:1", None)
        with pytest.raises(TimeoutError, match=str(stubborn.pid)):
            down.stop_gateway(run)
        # Whoever has the process id now is not that gateway.
        assert not down.stop_gateway(replace(run, started_s=began - 60))
    finally:
        stubborn.kill()
        stubborn.wait()
        stubborn.stdin.close()
        stubborn.stdout.close()


def test_the_ledger_is_told_where_the_password_lies_and_not_what_it_is(files: Path) -> None:
    deployment = Deployment(
        origin="http://127.0.0.1:1",
        accounts_file=files / "accounts.toml",
        secret_file=files / "secret",
        database="postgresql://switchboard@db.example.com/switchboard?ssl=require",
        database_passfile=files / "passfile",
    )
    assert deployment.database_url.startswith("postgresql://switchboard@db.example.com/")
    assert "passfile=" in deployment.database_url
    assert "ssl=require" in deployment.database_url
    assert "0" * 64 not in deployment.database_url
    assert not deployment.is_sqlite


def test_actors_are_told_no_secret_and_of_no_account(files: Path) -> None:
    """Ray keeps what its actors are made with, and shows it."""
    for name in ("secret", "passfile", "turn-secret", "hook-secret"):
        (files / name).write_text(f"what-{name}-holds".ljust(32, "."))
        (files / name).chmod(0o600)
    webhook = 'endpoint_id = "crm"\nurl = "https://crm.example.com/x"\nsecret_file = "hook-secret"'
    key = f'key_id = "backend"\nhash = "{hash_key("swk_backend_" + "k" * 32)}"'
    (files / "accounts.toml").write_text(
        f"{ACCOUNTS}\n[[accounts.12345678.api_keys]]\n{key}\n"
        f"[[accounts.12345678.webhooks]]\n{webhook}\n"
    )
    deployment = Deployment(
        origin="http://127.0.0.1:1",
        accounts_file=files / "accounts.toml",
        secret_file=files / "secret",
        database="postgresql://switchboard@db.example.com/switchboard",
        database_passfile=files / "passfile",
        turn=("turn:turn.example.com",),
        turn_secret_file=files / "turn-secret",
    )
    assert set(gateway_settings(deployment).accounts) == {"12345678"}
    settings = cluster_settings(deployment)
    assert settings.turn_secret() == (files / "turn-secret").read_bytes().strip()
    told = pickle.dumps(settings)
    assert str(files / "accounts.toml").encode() in told
    for known in ("12345678", "crm", "backend", "-holds", str(hash_key("swk_backend_" + "k" * 32))):
        assert known.encode() not in told, known


def test_ports_are_given_first_to_last() -> None:
    assert read_ports("40000-40999") == (40_000, 41_000)
    assert read_ports("40000") == (40_000, 40_001)
    assert read_ports(None) == (0, 1)
