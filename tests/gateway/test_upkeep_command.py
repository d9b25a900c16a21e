"""Commands for records: people who are erased, and who were."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.command import app
from gateway.commands.upkeep_command import LONGEST_PAUSE_S, TRIES, pause_s
from tests.gateway.answering import Answering, listening, serving

pytestmark = pytest.mark.usefixtures("api_key")

RUNNER = CliRunner()


def test_who_erases_many_again_asks_again_where_the_gateway_holds_back_or_is_away(
    tmp_path: Path,
) -> None:
    listed = [{"session_id": f"s-{number}", "participant_id": "p"} for number in range(3)]
    file = tmp_path / "erased"
    file.write_text("\n".join(map(json.dumps, listed)))
    taken: list[dict[str, str]] = []
    answers = iter([201, 429, 503, 201, 502, 504, 201])

    class Handler(Answering):
        def do_POST(self) -> None:
            body = json.loads(self.read())
            status = next(answers)
            if status == 201:
                taken.append(body)
            self.answer({"erased": [body]}, status, {"Retry-After": "0"})

    with listening(Handler) as gateway:
        arguments = ["records", "erase", "--again", str(file), "--gateway", gateway]
        result = RUNNER.invoke(app, arguments)
    assert (result.exit_code, taken) == (0, listed)
    assert result.stdout == "3 participants were erased.\n"
    assert result.stderr.count("did not say what came of it") == 3


def test_who_cannot_go_on_with_many_is_told_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    file = tmp_path / "erased"
    listed = [{"session_id": f"s-{number}", "participant_id": "p"} for number in range(3)]
    file.write_text("\n".join(map(json.dumps, listed)))
    answers = chain([201], repeat(503))

    class Handler(Answering):
        def do_POST(self) -> None:
            body = json.loads(self.read())
            self.answer({"erased": [body], "detail": "The ledger is away."}, next(answers))

    with listening(Handler) as gateway:
        arguments = ["records", "erase", "--again", str(file), "--gateway", gateway]
        result = RUNNER.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    *_, how_far, why = result.stderr.splitlines()
    assert how_far.startswith("1 of the 3 listed were erased;")
    assert why == "The ledger is away."


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ("5", 5.0),
        ("Fri, 27 Nov 2026 07:00:30 GMT", 30.0),
        ("Fri, 27 Nov 2026 06:00:00 GMT", 0.0),
        ("Sat, 28 Nov 2026 07:00:00 GMT", LONGEST_PAUSE_S),
        ("86400", LONGEST_PAUSE_S),
        *((none, 1.0) for none in ("", "soon", "-1", "nan", "1e9", "²")),
    ],
)
def test_who_is_held_back_waits_by_seconds_or_a_date_and_never_for_long(
    said: str, waits: float
) -> None:
    now = datetime(2026, 11, 27, 7, tzinfo=UTC).timestamp()
    assert pause_s(said, now) == waits


def test_who_is_held_back_for_ever_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    file = tmp_path / "erased"
    file.write_text(json.dumps({"session_id": "s", "participant_id": "p"}))
    with serving("/v1/erasures", {"detail": "Too many requests."}, 429) as gateway:
        arguments = ["records", "erase", "--again", str(file), "--gateway", gateway]
        result = RUNNER.invoke(app, arguments)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "Too many requests.")
    assert waited == [1.0] * (TRIES - 1)


def test_who_was_erased_is_printed_to_the_last_page() -> None:
    asked: list[str] = []

    class Handler(Answering):
        def do_GET(self) -> None:
            asked.append(self.path)
            page = len(asked)
            found = {"erased": [{"page": page}], "cursor": "further" if page < 3 else None}
            self.answer(found)

    with listening(Handler) as gateway:
        arguments = ["records", "erased", "--since-ms", "5", "--gateway", gateway]
        result = RUNNER.invoke(app, arguments)
    assert [json.loads(line)["page"] for line in result.output.splitlines()] == [1, 2, 3]
    further = "/v1/erasures?since_ms=5&cursor=further"
    assert asked == ["/v1/erasures?since_ms=5", further, further]
