"""The command line: quick, and one clear sentence for every failure."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.testing import CliRunner

from broker.messages.cluster.nodes import NodeState
from gateway.commands.command import NOTHING_THERE, app
from gateway.commands.doctor import Finding, Grade
from gateway.commands.down import Ended
from gateway.commands.top import Row, look_at_all
from tests.gateway.answering import Answering, listening, serving

pytestmark = pytest.mark.usefixtures("api_key")

RUNNER = CliRunner()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, gateway.commands.command;"
        "print([m for m in ('ray','fastapi','pydantic','cryptography','uvicorn','httpx')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_process_with_ray_in_it_leaves_without_an_interpreters_end() -> None:
    script = (
        "import atexit, sys, types;"
        "sys.modules['ray'] = types.ModuleType('ray');"
        "atexit.register(print, 'the end');"
        "from gateway.commands.command import main;"
        "sys.argv[1:] = ['status', '--gateway', 'http://127.0.0.1:9'];"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (NOTHING_THERE, "")
    assert "No gateway answers" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "--bind", "0.0.0.0"], "loopback"),
        (["demo", "--gateway-port", "5", "--host-port", "5"], "two ports"),
        (["demo", "--policy", "shoe=1"], "no value named 'shoe'"),
        (["demo", "--policy", "longest_ms=long"], "not NAME=VALUE"),
        (["demo", "--policy", "longest_ms=true"], "must be of type int"),
        (["status", "--gateway", "http://127.0.0.1:9"], "No gateway answers"),
        (["sessions", "--gateway", "http://127.0.0.1:9"], "No gateway answers"),
        (["status", "--gateway", "http://[::1"], "no address of a gateway"),
        (["api-key", "acc", "--key-id", "not good"], "letters and digits"),
        # A key is cut there: it would be read as that of another.
        (["api-key", "acc", "--key-id", "a_b"], "letters and digits"),
        (["sessions", "--api-key-file", "/nowhere"], "/nowhere cannot be read: No such file"),
        (
            ["operator-token", "--secret-file", "/nowhere", "--name", "Sam"],
            "/nowhere cannot be read: No such file",
        ),
    ],
)
def test_a_failure_is_one_sentence(arguments: list[str], sentence: str) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code != 0
    assert sentence in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_what_listens_and_does_not_answer_is_not_called_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.commands.command.ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as starting:
        at = f"http://127.0.0.1:{starting.getsockname()[1]}"
        result = RUNNER.invoke(app, ["status", "--gateway", at])
    assert result.exit_code == 1
    assert f"What listens at {at} does not answer; a gateway that is starting" in result.output


def test_without_a_key_the_sentence_says_where_to_put_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("SWITCHBOARD_API_KEY")
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


def test_sessions_are_a_table_or_json() -> None:
    with serving("/v1/sessions", {"sessions": [RECORD]}) as gateway:
        arguments = ["sessions", "--gateway", gateway]
        table = RUNNER.invoke(app, arguments, env={"COLUMNS": "160"}).output
        assert all(word in table for word in ("s-1", "60 s", "ended_by_agent", "rt", "win"))
        assert json.loads(RUNNER.invoke(app, [*arguments, "--json"]).output) == [RECORD]


@pytest.mark.parametrize("columns", ["80", None], ids=["a terminal", "a pipe"])
def test_each_session_is_one_line_that_can_be_read_and_found(columns: str | None) -> None:
    session_id, conversation = "UeqZ9BgrUKVDu0rATQCFWw", str(uuid.UUID(int=1))
    record = {
        "session_id": session_id,
        "created_ms": RECORD["created_ms"],
        "ended_ms": 1_800_000_000_000 + 3_723_000,
        "phase": "ended",
        "end_reason": "ended_by_supervisor",
        "ids": {"rt_session_id": conversation, "conversation_id": conversation},
    }
    with serving("/v1/sessions", {"sessions": [record]}) as gateway:
        arguments = ["sessions", "--gateway", gateway]
        said = RUNNER.invoke(app, arguments, env={"COLUMNS": columns}).output
    _, line = said.splitlines()
    for word in (session_id, "2027-01-1", "1:02:03", "ended_by_supervisor"):
        assert word in line
    # As much of it as there is room for, once.
    assert line.count("00000000" if columns else conversation) == 1


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
                    "bandwidth_ms": 0,
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
        arguments = ["sessions", "s-1", "--gateway", gateway]
        said = RUNNER.invoke(app, arguments, env={"COLUMNS": "120"}).output
        assert json.loads(RUNNER.invoke(app, [*arguments, "--json"]).output) == detail
    assert "95 % good, 2 s loss from them" in said
    [line] = [line for line in said.splitlines() if "participant.joined" in line]
    assert all(word in line for word in ("1.500 s", "Alex", "mode voice"))
    assert "lobby" not in said
    assert all(word in said for word in ("s-1", "60 s", "rt", "win", "agent", "7"))


def test_a_long_session_is_printed_to_its_end() -> None:
    events = [
        {"seq": seq, "at_ms": RECORD["created_ms"], "type": f"event.{seq}", "body": {}}
        for seq in range(1, 6)
    ]
    asked = []

    class Handler(Answering):
        def do_GET(self) -> None:
            asked.append(self.path)
            after = int(parse_qs(urlsplit(self.path).query).get("after", ["0"])[0])
            page = events[after : after + 2]
            cursor = str(page[-1]["seq"]) if page[-1] is not events[-1] else None
            body = {**RECORD, "participants": [], "events": page, "cursor": cursor}
            self.answer(body)

    with listening(Handler) as gateway:
        result = RUNNER.invoke(app, ["sessions", "s-1", "--gateway", gateway, "--json"])
    shown = json.loads(result.output)
    assert (shown["events"], "cursor" in shown) == (events, False)
    assert [urlsplit(each).path for each in asked] == [
        "/v1/sessions/s-1",
        *["/v1/sessions/s-1/events"] * 2,
    ]


def test_what_others_wrote_is_neither_markup_nor_obeyed_by_a_terminal() -> None:
    """A consumer's page claims ids, and a guest chooses a name: an operator prints both."""
    wicked = "[/red]\x1b]0;owned\x07\x9b2J"
    harmless = "[/red]\ufffd]0;owned\ufffd\ufffd2J"
    record = RECORD | {"ids": {"rt_session_id": "rt", "window_session_id": wicked}}
    person = {"participant_id": "p-1", "role": "guest", "name": wicked}
    event = {
        "at_ms": RECORD["created_ms"],
        "type": "participant.joined",
        "body": {"participant_id": "p-1", "said": wicked},
    }
    detail = record | {"participants": [person], "events": [event]}
    for path, answer, words, times in (
        ("/v1/sessions", {"sessions": [record]}, ["sessions"], 1),
        ("/v1/sessions/s-1", detail, ["sessions", "s-1"], 4),
    ):
        with serving(path, answer) as gateway:
            given = [*words, "--gateway", gateway]
            result = RUNNER.invoke(app, given, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.exception
        assert (result.output.count(harmless), "\x1b]" in result.output) == (times, False)


def test_what_the_gateway_refuses_is_said_in_its_words() -> None:
    with serving("/v1/sessions", {"detail": "The API key does not hold."}, 401) as gateway:
        result = RUNNER.invoke(app, ["sessions", "--gateway", gateway])
    assert (result.exit_code, result.output.strip()) == (1, "The API key does not hold.")


@pytest.mark.parametrize("words", [["status"], ["sessions"], ["records", "erased"]])
def test_what_is_no_gateway_is_told_so(words: list[str]) -> None:
    answers: tuple[object, ...] = (b"<html>", ["ready"], {})
    for answer in answers:
        with serving("/", answer) as gateway:
            arguments = [*words, "--gateway", gateway]
            result = RUNNER.invoke(app, arguments)
            assert result.exit_code == 1
            assert "is no gateway; give its address by --gateway" in result.output
            assert not look_at_all([gateway])[0].up


STATE = NodeState(node="a1b2c3d4e5f6", drain="drained", live=0, moved=3)
FINDING = Finding("clock", Grade.OK, "synchronised")
READY = {"ready": True, "ledger": True, "pool": True, "stopping": False}
SAY_IT_BY_THEMSELVES = {
    "demo": "one address for people",
    "api-key": "a key, and lines for the accounts file",
    "operator-token": "a token",
    "operator-revoke": "nothing",
    "openapi": "JSON always",
    "export": "JSON Lines or CSV",
    "erased": "JSON Lines always",
    "erase": "how many",
    "redeliver": "how many",
}
"""Commands without `--json`, and what they print."""


def commands(group: Any) -> Iterator[tuple[str, Any]]:
    """Every command of a program."""
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from commands(each)
        else:
            yield name, each


def test_no_command_takes_a_secret_itself() -> None:
    """`ps` shows arguments to everybody on the machine, and shells keep them."""
    files = set()
    for name, each in commands(typer.main.get_command(app)):
        hints = get_type_hints(each.callback)
        for one in each.params:
            hint = hints.get(one.name)
            is_path = Path in (hint, *get_args(hint))
            for option in one.opts:
                if re.search("key|secret|token|pass|credential", option):
                    assert is_path or (name, option) == ("api-key", "--key-id"), (name, option)
                    files.add(option)
    assert {"--api-key-file", "--secret-file", "--database-passfile", "--turn-secret-file"} <= files


@pytest.mark.parametrize(
    ("mode", "held", "said"),
    [
        (0o600, "swk_k1_" + "s" * 40 + "\n", "swk_k1_" + "s" * 40),
        (0o640, "swk_k1_" + "s" * 40, "Others can read"),
        (0o600, "short", "shorter than 32 bytes"),
        (0o600, None, "No such file"),
    ],
)
def test_an_api_key_lies_in_a_file_that_nobody_else_reads(
    tmp_path: Path, mode: int, held: str | None, said: str
) -> None:
    file = tmp_path / "key"
    if held is not None:
        file.write_text(held)
        file.chmod(mode)
    given = []

    class Handler(Answering):
        def do_GET(self) -> None:
            given.append(self.headers["Authorization"])
            self.answer({"sessions": []})

    with listening(Handler) as gateway:
        arguments = ["sessions", "--gateway", gateway, "--api-key-file", str(file)]
        result = RUNNER.invoke(app, arguments)
    assert said in " ".join([result.output, *given])
    assert (result.exit_code, len(given)) == ((0, 1) if said == (held or "").strip() else (2, 0))


def test_every_command_prints_json_if_told_to_or_something_plain() -> None:
    found = dict(commands(typer.main.get_command(app)))
    plain = {
        name for name, each in found.items() if not any("--json" in one.opts for one in each.params)
    }
    assert plain == set(SAY_IT_BY_THEMSELVES)
    assert {"up", "down", "status", "sessions", "drain", "undrain", "doctor", "top"} <= set(found)


@pytest.mark.parametrize(
    ("words", "source", "found", "printed"),
    [
        (
            ["nodes"],
            "gateway.commands.drain.run_nodes",
            [("10.0.0.2", 8, STATE)],
            [{"address": "10.0.0.2", "slots": 8, **STATE.model_dump()}],
        ),
        (["drain", "10.0.0.2"], "gateway.commands.drain.run_drain", STATE, STATE.model_dump()),
        (["undrain", "10.0.0.2"], "gateway.commands.drain.run_undrain", "a1b2", {"node": "a1b2"}),
        (
            ["down"],
            "gateway.commands.down.run_down",
            Ended(True, 3),
            {"gateway": True, "actors": 3},
        ),
        (["doctor"], "gateway.commands.doctor.examine", [FINDING], [asdict(FINDING)]),
        (
            ["top"],
            "gateway.commands.top.look_at_all",
            [Row("http://g", up=True, sessions=2)],
            [asdict(Row("http://g", up=True, sessions=2))],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and isinstance(value[0], str) else "",
)
def test_what_a_command_found_is_printed_as_json_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, words: list[str], source: str, found: object, printed: object
) -> None:
    monkeypatch.setattr(source, lambda *_, **__: found)
    result = RUNNER.invoke(app, [*words, "--json"])
    assert (result.exit_code, json.loads(result.output)) == (0, printed)


def test_each_node_is_one_line_in_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    state = NodeState(node="a1b2c3d4e5f6", label="eu-west", drain="drained", live=12, standbys=16)
    nodes = [("192.168.100.100", 512, state)]
    monkeypatch.setattr("gateway.commands.drain.run_nodes", lambda *_: nodes)
    _, line = RUNNER.invoke(app, ["nodes"], env={"COLUMNS": "80"}).output.splitlines()
    drained = ["a1b2c3d4e5f6", "192.168.100.100", "eu-west", "drained", "12", "16", "0", "512"]
    assert line.split() == drained


@pytest.mark.parametrize(
    ("words", "source", "found", "said"),
    [
        (
            ["down", "--data-dir", "/data"],
            "gateway.commands.down.run_down",
            Ended(False, 13, "10.0.0.1:6379"),
            [
                "No gateway runs in /data; 13 actors were ended.",
                "Gateways that run elsewhere are not ready any more: end each where it runs.",
            ],
        ),
        (
            ["down"],
            "gateway.commands.down.run_down",
            Ended(True, 0),
            ["The gateway was ended; 0 actors were ended."],
        ),
        (
            ["drain", "10.0.0.2"],
            "gateway.commands.drain.run_drain",
            STATE.model_copy(update={"moved": 4, "drain": "drained"}),
            [
                f"4 sessions were moved away; nothing is left on {STATE.node}.",
                "`switchboard undrain 10.0.0.2` lets it have sessions again.",
            ],
        ),
    ],
    ids=["down on a Ray", "down of a private Ray", "drain"],
)
def test_a_deed_says_what_is_left_to_do(
    monkeypatch: pytest.MonkeyPatch, words: list[str], source: str, found: object, said: list[str]
) -> None:
    monkeypatch.setattr(source, lambda *_, **__: found)
    assert RUNNER.invoke(app, words).output.splitlines() == said


def test_the_status_of_a_gateway_is_printed_as_json() -> None:
    with serving("/", READY) as gateway:
        result = RUNNER.invoke(app, ["status", "--json", "--gateway", gateway])
    assert (result.exit_code, json.loads(result.output)) == (0, {**READY, "connections": 0})


@pytest.mark.parametrize(("told", "shown"), [({"pool": False}, "no"), ({}, "not said")])
def test_what_lacks_for_readiness_is_printed(told: dict[str, bool], shown: str) -> None:
    """A gateway of the release before says nothing of the pool."""
    with serving("/", {"ready": False, "ledger": True, "stopping": False, **told}) as gateway:
        result = RUNNER.invoke(app, ["status", "--gateway", gateway])
    assert result.output.splitlines()[:3] == [
        "ready        no",
        "ledger       yes",
        f"pool         {shown}",
    ]
    assert result.exit_code == 1


def test_a_gateway_that_shows_no_metrics_has_not_no_connections() -> None:
    with serving("/readyz", READY) as gateway:
        said = RUNNER.invoke(app, ["status", "--gateway", gateway])
        told = RUNNER.invoke(app, ["status", "--json", "--gateway", gateway])
    assert said.output.splitlines()[-1] == "connections  not shown to who asks from here"
    assert (told.exit_code, json.loads(told.output)) == (0, {**READY, "connections": None})
