"""`--target`: which scenarios take one, and what is known of a server that is up already."""

from __future__ import annotations

import pytest

from benchmarks.command import FAILED, SCENARIOS, main, parser
from benchmarks.rounds import Bench
from benchmarks.subject import Subject

TAKE_ONE = {"signaling", "fanout", "lifecycle", "join", "storm", "crowd", "soak"}


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
def test_those_that_need_nothing_but_the_edge_take_a_target(
    scenario: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [scenario, "--target", "https://gateway.example"]
    if scenario in TAKE_ONE:
        assert parser().parse_args(arguments).target == "https://gateway.example"
        assert parser().parse_args([scenario]).target is None
        return
    with pytest.raises(SystemExit):
        parser().parse_args(arguments)
    assert "unrecognized arguments: --target" in capsys.readouterr().err


async def test_a_target_is_used_as_it_is_and_nothing_of_it_is_known() -> None:
    async with Bench.open() as bench:
        subject = await Subject.open(bench, "http://127.0.0.1:1/", standbys=64)
        assert subject.origin == "http://127.0.0.1:1"
        assert subject.servers == []
        assert subject.actors() == []
        await subject.until_standing(64)
        assert bench.elsewhere, "its work cannot be told from others'"


def test_a_target_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storm", "--target", "http://127.0.0.1:1", "--rounds", "1"]) == FAILED
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing was measured: load of consumers: ConnectError" in said
