"""Any other server can be a peer by one file, whatever protocol it speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.adapter import address_of, name_of
from benchmarks.command import parser
from benchmarks.load import load_of
from benchmarks.loads.everyone import Room
from benchmarks.rounds import Bench, Plan

PLAN = Plan(rounds=1, seconds=0.3, warm_up=0.1, rate=100.0, once=True)
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "peer.py"


async def test_the_documents_example_brings_a_server_and_what_speaks_its_protocol() -> None:
    file = str(EXAMPLE)
    async with Bench.open() as bench:
        peer = await bench.adapted(file)
        side = await bench.side(
            name_of(file), "echo", address_of(peer), [peer], adapter=file, connections=2
        )
        (measured,) = await bench.run(PLAN, lambda: None)
        family = [*peer.family(), *side.load.family()]
    assert measured.side == "peer"
    assert measured.missing == 0
    assert 0 < measured.histograms["reply"].count < measured.sent, "the warm-up does not count"
    assert [used.name.split()[-1] for used in measured.usage] == ["peer.py"]
    assert not any(process.is_running() for process in family)


def test_one_without_a_load_is_asked_as_the_scenario_asks() -> None:
    file = ROOT / "benchmarks" / "peers" / "room.py"
    asked = {"sessions": 1, "size": 2, "payload": 100}
    assert isinstance(load_of("room", "http://127.0.0.1:1", asked, str(file)), Room)


@pytest.mark.parametrize("scenario", ["signaling", "fanout"])
def test_an_adapter_is_named_on_the_command_line(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.py"
    file.touch()
    assert parser().parse_args([scenario, "--peer", str(file)]).peer == str(file)
    with pytest.raises(SystemExit):
        parser().parse_args([scenario, "--peer", str(tmp_path / "missing.py")])
    assert "missing.py" in capsys.readouterr().err
