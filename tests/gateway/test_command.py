"""The command line: quick, and one clear sentence for every failure."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.command import app

RUNNER = CliRunner()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, gateway.command;"
        "print([m for m in ('ray','fastapi','pydantic','cryptography','uvicorn','httpx')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "--bind", "0.0.0.0"], "loopback"),
        (["demo", "--gateway-port", "5", "--host-port", "5"], "two ports"),
        (["demo", "--policy", "shoe=1"], "no value named 'shoe'"),
        (["demo", "--policy", "longest_ms=long"], "not NAME=VALUE"),
        (["demo", "--policy", "longest_ms=true"], "must be of type int"),
        (["status", "--gateway", "http://127.0.0.1:9"], "No gateway answers"),
        (["sessions", "--gateway", "http://127.0.0.1:9", "--api-key", "k"], "No gateway answers"),
        (["api-key", "acc", "--key-id", "not good"], "letters and digits"),
    ],
)
def test_a_failure_is_one_sentence(arguments: list[str], sentence: str) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code != 0
    assert sentence in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_without_a_key_the_sentence_says_where_to_put_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = RUNNER.invoke(app, ["sessions"])
    assert "SWITCHBOARD_API_KEY" in result.output


def test_openapi_is_printed_with_stable_ids() -> None:
    described = json.loads(RUNNER.invoke(app, ["openapi"]).output)
    ids = [
        operation["operationId"]
        for path in described["paths"].values()
        for operation in path.values()
    ]
    assert len(ids) == len(set(ids))
    assert {"listSessions", "getSession", "createWaitingToken", "createGuestToken"} <= set(ids)


RECORD = {
    "session_id": "s-1",
    "created_ms": 1_800_000_000_000,
    "ended_ms": 1_800_000_060_000,
    "phase": "ended",
    "end_reason": "ended_by_agent",
    "ids": {"rt_session_id": "rt", "window_session_id": "win"},
}


@contextmanager
def serving(path: str, body: object, status: int = 200) -> Iterator[str]:
    """A gateway that knows one answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status if self.path.startswith(path) else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_sessions_are_a_table_or_json() -> None:
    with serving("/v1/sessions", {"sessions": [RECORD]}) as gateway:
        arguments = ["sessions", "--gateway", gateway, "--api-key", "k"]
        table = RUNNER.invoke(app, arguments, env={"COLUMNS": "160"}).output
        assert all(word in table for word in ("s-1", "60 s", "ended_by_agent", "rt", "win"))
        assert json.loads(RUNNER.invoke(app, [*arguments, "--json"]).output) == [RECORD]


def test_one_session_is_its_people_and_its_time_line() -> None:
    detail = {
        **RECORD,
        "participants": [
            {
                "participant_id": "p-agent-1",
                "role": "agent",
                "name": "Alex",
                "agent_id": "7",
                "quality": {
                    "good_ms": 57_000,
                    "fair_ms": 1_000,
                    "poor_ms": 2_000,
                    "loss_down_ms": 0,
                    "loss_up_ms": 2_000,
                    "delay_ms": 1_000,
                    "silent_ms": 0,
                },
            }
        ],
        "events": [
            {
                "at_ms": 1_800_000_001_500,
                "type": "participant.joined",
                "body": {"participant_id": "p-agent-1", "mode": "voice", "lobby": False},
            }
        ],
    }
    with serving("/v1/sessions/s-1", detail) as gateway:
        arguments = ["sessions", "s-1", "--gateway", gateway, "--api-key", "k"]
        said = RUNNER.invoke(app, arguments, env={"COLUMNS": "120"}).output
        assert json.loads(RUNNER.invoke(app, [*arguments, "--json"]).output) == detail
    assert "95 % good, 2 s loss from them" in said
    [line] = [line for line in said.splitlines() if "participant.joined" in line]
    assert all(word in line for word in ("1.500 s", "Alex", "mode voice"))
    assert "lobby" not in said
    assert all(word in said for word in ("s-1", "60 s", "rt", "win", "agent", "7"))


def test_what_the_gateway_refuses_is_said_in_its_words() -> None:
    with serving("/v1/sessions", {"detail": "The API key does not hold."}, 401) as gateway:
        result = RUNNER.invoke(app, ["sessions", "--gateway", gateway, "--api-key", "k"])
    assert (result.exit_code, result.output.strip()) == (1, "The API key does not hold.")
