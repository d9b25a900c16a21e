"""`--target`: which scenarios take one, and what is known of a server that is up already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from benchmarks.command import FAILED, SCENARIOS, main, parser
from benchmarks.measurement import Measurement
from benchmarks.participant import Edge
from benchmarks.rounds import Bench
from benchmarks.subject import Subject, Target, target_of
from gateway.accounts import AgentLogin
from gateway.settings import Settings
from tests.house import API_KEY, House, settled

TAKE_ONE = {"signaling", "fanout", "lifecycle", "join", "storm", "crowd", "soak"}
STORM = ["--seconds", "0.3", "--rate", "20", "--starts", "1"]
FANOUT = [
    "--sizes",
    "4",
    "--peer",
    "none",
    "--seconds",
    "0.5",
    "--warm-up",
    "0.2",
    "--rate",
    "20",
    "--once",
]
WHY_NOT = {
    "failover": "only a Switchboard that it starts itself, since it kills a session actor",
    "media": "since it reads the counters of the server's processes",
    "congestion": "since it reads its API key",
    "memory": "since it weighs the server's processes",
    "pool": "since it looks at the pool of the server",
    "capacity": "since it reads the counters of the server's processes",
}


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
def test_those_that_need_nothing_but_the_edge_take_a_target(
    scenario: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [scenario, "--target", "https://gateway.example"]
    if scenario in TAKE_ONE:
        assert parser().parse_args(arguments).target == "https://gateway.example"
        assert parser().parse_args([scenario]).target is None
        return
    with pytest.raises(SystemExit) as refused:
        parser().parse_args(arguments)
    assert refused.value.code == 2
    assert WHY_NOT[scenario] in capsys.readouterr().err


async def test_a_target_is_used_as_it_is_and_nothing_of_it_is_known() -> None:
    async with Bench.open() as bench:
        subject = await Subject.open(bench, Target("http://127.0.0.1:1/"), standbys=64)
        assert subject.origin == "http://127.0.0.1:1"
        assert subject.servers == []
        assert subject.actors() == []
        await subject.until_standing(64)
        assert await subject.waited() == 0
        assert bench.elsewhere, "its work cannot be told from others'"


@pytest.mark.parametrize("key", [None, "swk_load_secret"])
async def test_agents_get_their_tokens_as_the_targets_own_do(
    key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["storm", "--target", "https://gateway.example"]
    if key is not None:
        (tmp_path / "key").write_text(f"{key}\n", encoding="utf-8")
        words += ["--account", "12345678", "--api-key-file", str(tmp_path / "key")]
    target = target_of(parser().parse_args(words))
    assert target is not None
    for name, value in target.environment().items():
        monkeypatch.setenv(name, value)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json={"token": "t"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        edge = Edge.at(target.origin, http)
        assert await edge.agent_token("7", "Bench Agent") == "t"
        await edge.token("/v1/waiting", {"engagement": {}})
    token, waiting = asked
    if key is None:
        assert edge.account_id == "demo"
        assert token.url.path == "/demo/agent-token"
    else:
        assert edge.account_id == "12345678"
        assert token.url.path == "/v1/tokens"
        assert token.headers["authorization"] == f"Bearer {key}"
    assert "authorization" not in waiting.headers, "a consumer has no key"


class Deployed(House):
    """Whose account has its agents' tokens minted by the brand's backend, as a deployment's has."""

    def settings(self, origin: str, name: str) -> Settings:
        given = super().settings(origin, name)
        account = replace(
            given.accounts["demo"],
            account_id="12345678",
            agent_login=AgentLogin.TOKEN_URL,
            token_url="https://crm.example.com/token",
        )
        return replace(given, demo=None, accounts={"12345678": account})


async def test_a_deployment_is_loaded_with_its_accounts_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.rounds.SILENT_SECONDS", 0.1)
    (tmp_path / "key").write_text(API_KEY, encoding="utf-8")
    async with settled(tmp_path, Deployed) as deployed:
        for _ in range(2):
            await deployed.standby()
        where = ["--target", await deployed.gateway("one"), "--account", "12345678"]
        where += ["--api-key-file", str(tmp_path / "key"), "--rounds", "1"]
        rush, starts = await measured("storm", *where, *STORM)
        ours, room = await measured("fanout", *where, *FANOUT)
    assert rush.missing == starts.missing == 0
    assert rush.histograms["waiting"].count == rush.sent > 1
    assert starts.counts["started"] == starts.sent == 1
    assert (ours.side, room.side) == ("switchboard 1x4", "room 1x4")
    for side in (ours, room):
        assert side.missing == 0
        assert side.histograms["each"].count == 4 * side.histograms["last"].count > 0


async def measured(name: str, *words: str) -> list[Measurement]:
    """Run a scenario; returns what each side measured."""
    (scenario,) = (each for each in SCENARIOS if each.name == name)
    result = await scenario.run(parser().parse_args([name, *words]), lambda what, share: None)
    return result.measurements


def test_a_target_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["storm", "--target", "http://127.0.0.1:1", "--rounds", "1"]) == FAILED
    out, err = capfd.readouterr()
    said = " ".join(out.split())
    assert "Nothing was measured: storm: load of consumers: ConnectError" in said
    assert "Traceback" not in out + err


@pytest.mark.parametrize("words", ["--account 12345678", "--api-key-file {file}"])
def test_an_account_that_would_not_be_asked_is_refused(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who forgot the target would measure a Switchboard of their own, and take it for theirs."""
    file = tmp_path / "key"
    file.write_text("swk_load_secret", encoding="utf-8")
    option, value = words.format(file=file).split()
    with pytest.raises(SystemExit) as refused:
        main(["storm", option, value])
    assert refused.value.code == 2
    assert f"argument {option}: only with --target" in capsys.readouterr().err
