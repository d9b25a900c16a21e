"""What the command shows, writes and exits with."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks import command
from benchmarks.command import FAILED, NOISY, main
from benchmarks.compare import load
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement, percentile_of
from benchmarks.process import ChildFailed
from benchmarks.quiet import name_noise
from benchmarks.result import ScenarioResult
from benchmarks.sampler import Usage
from benchmarks.scenario import Progress, add_round_options, counted, parameters
from benchmarks.targets import Comparison, absolute

SLOW_ONE = 5.0
"""Milliseconds of one message of five hundred: beyond the p99, within the p99.9."""


class Made:
    """A scenario without servers: a subject twice as slow as its floor."""

    summary = "made up"

    def __init__(self, name: str, *, foreign: float = 0.0) -> None:
        self.name = name
        self._foreign = foreign

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(parser, rounds=4, seconds=1.0, rate=100.0)

    def short(self) -> list[str]:
        return ["--rounds", "2"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        step = counted(progress, "round", options.rounds, 0.0, 1.0)
        for number in range(options.rounds):
            for side, milliseconds in (("subject", 2.0), ("floor", 1.0)):
                reply = Histogram()
                for each in range(500):
                    reply.record((milliseconds if each else milliseconds * SLOW_ONE) / 1e3)
                result.measurements.append(
                    Measurement(
                        side,
                        number,
                        {"reply": reply},
                        Histogram(),
                        500,
                        0,
                        seconds=1.0,
                        foreign_share=self._foreign,
                        usage=[Usage(1, "gateway", 0.25, 100 * 2**20)],
                    )
                )
            step()
        name_noise(result)
        for limit in (1.5, 3.0):
            result.compare(
                Comparison(
                    f"p50 over the floor, {limit}",
                    "subject",
                    "floor",
                    percentile_of("reply", 50.0),
                    limit,
                )
            )
        result.judge(absolute("unanswered", 0.0, 0.0, unit="", robust=True))
        return result


def outcome(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: list[Made],
    *words: str,
) -> tuple[int, str]:
    """Run the command with these scenarios; returns its exit status and what it showed."""
    monkeypatch.setattr(command, "SCENARIOS", tuple(made))
    status = main(list(words))
    return status, " ".join(capsys.readouterr().out.split())


def test_a_run_shows_how_far_it_is_and_every_percentile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = outcome(monkeypatch, capsys, [Made("made")], "made")
    assert status == 0, "a missed target is a finding, no failure"
    assert re.search(r"made +━+ \d:\d\d:\d\d done", shown)
    assert "side ┃ latency, ms ┃ count ┃ p50 ┃ p90 ┃ p99 ┃ p99.9 ┃ max ┃ processors" in shown
    assert re.search(
        r"subject │ reply │ 2000 │ 2\.\d+ │ 2\.\d+ │ 2\.\d+ │ 10\.\d+ │ 10\.\d+ │ 0\.25", shown
    )
    assert re.search(
        r"1\.5 │ 2\.\d+ ms │ floor 1\.\d+ │ 2\.00 \(2\.00 to 2\.00\) │ at most 1\.5 │ missed", shown
    )
    assert re.search(r"at most 3 │ met", shown)


def test_a_noisy_run_names_the_noise_prints_no_ratio_and_says_so_by_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "html")}
    options = [f"--{kind}={file}" for kind, file in files.items()]
    status, shown = outcome(monkeypatch, capsys, [Made("made", foreign=0.9)], "made", *options)
    assert status == NOISY != 0
    named = "other processes kept 0.90 processors busy in round 1 of subject"
    told = shown.split("Too noisy to tell:")[1]
    written = {kind: file.read_text(encoding="utf-8") for kind, file in files.items()}
    for text in (told, *written.values()):
        assert named in text
        assert "over the floor" not in text
        assert "unanswered" in text, "no noise can move a count"


def test_a_run_writes_all_it_measured_on_what_and_how(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    outcome(monkeypatch, capsys, [Made("made")], "made", "--rounds", "3", "--json", str(file))
    run: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    machine = run["machine"]
    assert machine["commit"] not in ("", "unknown")
    assert all(machine[what] for what in ("python", "system", "processor", "memory_gb"))
    assert machine["processors"] >= 1
    assert all(machine["packages"][what] for what in ("ray", "fastapi", "aiortc"))
    assert run["command"] == f"python -m benchmarks made --rounds 3 --json {file}"
    assert [(t["target"], t["met"]) for t in run["targets"]] == [
        (1.5, False),
        (3.0, True),
        (0.0, True),
    ]
    (scenario,) = run["scenarios"]
    assert scenario["parameters"]["rounds"] == 3
    assert len(scenario["measurements"]) == 6
    subject = scenario["measurements"][0]
    raw = Histogram.from_json(subject["histograms"]["reply"])
    assert raw.count == 500
    assert raw.percentile(100.0) == pytest.approx(10.0, rel=0.01)
    summary = subject["summary"]["reply"]
    assert [summary[name] for name in ("p99", "max")] == pytest.approx([2.0, 10.0], rel=0.01)
    assert "p99.9" not in summary, "of five hundred"
    assert subject["processor_share"] == 0.25
    assert subject["memory_mb"] == 100.0
    assert subject["processes"][0]["name"] == "gateway"
    assert load(file).scenarios[0].name == "made"


def test_the_short_set_is_every_scenario_in_one_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page, file = tmp_path / "run.html", tmp_path / "run.json"
    made = [Made("one"), Made("other")]
    words = ["short", "--json", str(file), "--html", str(page)]
    status, shown = outcome(monkeypatch, capsys, made, *words)
    assert status == 0
    end = shown.split("conclusions")[1]
    for name in ("one", "other"):
        missed = "missed: p50 over the floor, 1.5, 2, at most 1.5"
        assert f"{name}: 2 of 3 targets are met. {missed}" in end
    assert end.endswith(f"Written: {file} Written: {page}")
    run = json.loads(file.read_text(encoding="utf-8"))
    assert [each["name"] for each in run["scenarios"]] == ["one", "other"]
    assert {each["parameters"]["rounds"] for each in run["scenarios"]} == {2}
    text = page.read_text(encoding="utf-8")
    conclusions = text.split("<h2>Conclusions</h2>")[1].split("<h2")[0]
    for name in ("one", "other"):
        assert f"<b>{name}</b>: 2 of 3 targets are met." in conclusions
        assert f"<h2 id='{name}'>" in text
    said = re.sub("<[^>]+>", "", conclusions)
    assert (
        "p50 over the floor, 1.5: 2 ms, where floor has 1; the ratio is 2 "
        "(in all of the rounds between 2 and 2), wanted at most 1.5: missed."
    ) in said
    assert said.index("missed") < said.index(": met"), "what is missed comes first"
    assert "p99.9" in text


class Broken(Made):
    """One that fails, as a server that does not start would."""

    failure: BaseException = ChildFailed("the peer ended before it answered.")

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        raise self.failure


def test_what_did_not_start_is_named_and_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    made: list[Made] = [Broken("made")]
    status, shown = outcome(monkeypatch, capsys, made, "made", "--json", str(file))
    assert status == FAILED
    assert "Nothing was measured: made: the peer ended before it answered." in shown
    assert not file.exists()


def test_one_that_fails_costs_nothing_of_what_the_others_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failing = Broken("failing")
    failing.failure = TimeoutError("5 session actors did not start.")
    file = tmp_path / "run.json"
    made = [Made("one"), failing, Made("other")]
    status, shown = outcome(monkeypatch, capsys, made, "short", "--json", str(file))
    assert status == FAILED
    named = "failing: TimeoutError: 5 session actors did not start."
    assert f"Nothing was measured: {named}" in shown
    assert "Traceback" in shown, "what nobody expected is shown whole"
    assert f"Nothing was measured: {named}" in shown.split("conclusions")[1]
    run = json.loads(file.read_text(encoding="utf-8"))
    assert [each["name"] for each in run["scenarios"]] == ["one", "other"]
    assert run["failed"] == [named]


class Interrupted(Made):
    """A scenario that is interrupted in its midst, and whose servers are missed as it ends."""

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        signal.raise_signal(signal.SIGINT)
        try:
            return await asyncio.Future[ScenarioResult]()
        finally:
            raise ChildFailed("the peer ended before it answered.")


def test_who_interrupts_keeps_what_was_measured_and_is_told_of_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    made = [Made("one"), Interrupted("interrupted"), Made("other")]
    # A shell that starts these tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status, shown = outcome(monkeypatch, capsys, made, "short", "--json", str(file))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, "Traceback" in shown, "Interrupted." in shown) == (130, False, True)
    run = json.loads(file.read_text(encoding="utf-8"))
    assert ([each["name"] for each in run["scenarios"]], run["failed"]) == (["one"], [])


def test_the_command_of_a_report_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "my run.json"
    outcome(monkeypatch, capsys, [Made("made")], "made", "--json", str(file))
    command = json.loads(file.read_text(encoding="utf-8"))["command"]
    assert shlex.split(command) == ["python", "-m", "benchmarks", "made", "--json", str(file)]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--json", "{folder}/none/run.json"], "none/run.json cannot be written"),
        (["--html", "{folder}"], "cannot be written"),
        (["--target", "gateway.example"], "gateway.example is no origin; write https://HOST"),
        (["--target", "https://gateway.example/v1"], "is no origin"),
        (["--target", "https://gateway.example:port"], "is no origin"),
        (["--api-key-file", "{folder}/key"], "key cannot be read"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_measured(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["storm", *(each.format(folder=tmp_path) for each in words)])
    assert refused.value.code == 2
    assert why in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("text", [None, "{}", "{", "no json"])
def test_a_file_that_is_no_run_is_named(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as refused:
        main(["compare", str(file), str(file)])
    assert refused.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    why = "No such file or directory" if text is None else "it is no run that --json wrote"
    assert f"{file}: {why}" in said
