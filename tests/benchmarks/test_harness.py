"""The harness sends when it meant to, ends what it started, and can run what it lists."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
import time
from typing import cast

import pytest

from benchmarks.arrivals import Arrivals
from benchmarks.command import SCENARIOS, main, parser
from benchmarks.histogram import Histogram
from benchmarks.process import Child, ChildFailed
from benchmarks.scenario import Scenario
from benchmarks.websocket import connect
from broker.trunk import Frame, FrameLink
from tests.patience import PATIENCE


async def test_a_stall_does_not_change_what_is_sent_when() -> None:
    async def intended(stall: float) -> tuple[list[float], Histogram]:
        times: list[float] = []

        def send(number: int, at: float) -> None:
            times.append(at)
            until = time.monotonic() + (stall if number == 3 else 0)
            while time.monotonic() < until:
                pass

        arrivals = Arrivals(rate=200, seconds=0.2, seed=7)
        await arrivals.run(send)
        return [at - times[0] for at in times], arrivals.lateness

    calm, _ = await intended(0.0)
    stalled, lateness = await intended(0.05)
    assert stalled == pytest.approx(calm, abs=1e-6)
    assert lateness.percentile(100) > 20


async def test_even_arrivals_have_even_pauses() -> None:
    times: list[float] = []
    await Arrivals(100, 0.1, 0, even=True).run(lambda _, at: times.append(at))
    assert len(times) == 10
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([0.01] * 9)


async def test_a_child_and_its_descendants_end_with_it() -> None:
    hop = await Child.module("hop", "benchmarks.floors.hop")
    family = hop.family()
    await hop.close()
    await hop.close()
    assert not any(process.is_running() for process in family)


async def test_a_child_that_cannot_start_is_named() -> None:
    with pytest.raises(ChildFailed, match="echo"):
        await Child.module("echo", "benchmarks.floors.echo", "no-port")


async def test_a_child_that_stays_silent_is_given_the_time_it_was_given() -> None:
    silent = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with pytest.raises(ChildFailed, match="silent did not answer"):
        await Child.start("silent", silent, within=0.1)


async def test_the_floor_sends_back_what_it_got() -> None:
    hop = await Child.module("hop", "benchmarks.floors.hop")
    echo = await Child.module("echo", "benchmarks.floors.echo", str(hop.ready["port"]))
    try:
        load = await Child.module(
            "load",
            "benchmarks.load",
            "echo",
            f"http://127.0.0.1:{echo.ready['port']}",
            '{"connections": 2}',
        )
        try:
            plan = {"rate": 100, "seconds": 0.3, "warm_up": 0.1, "seed": 1, "even": False}
            answer = await load.ask(plan, 30)
            assert answer["missing"] == 0
            assert isinstance(answer["sent"], int)
            assert answer["sent"] > 10
        finally:
            await load.close()
    finally:
        await echo.close()
        await hop.close()


def backwards(link: FrameLink, kind: Frame, body: bytes) -> None:
    link.send(kind, body[::-1])


async def test_the_floor_has_a_trunk_hop_and_the_loads_own_websocket_carries_any_size() -> None:
    hop = await asyncio.get_running_loop().create_server(
        lambda: cast(asyncio.Protocol, FrameLink(backwards, lambda link: None)), "127.0.0.1", 0
    )
    port = hop.sockets[0].getsockname()[1]
    echo = await Child.module("echo", "benchmarks.floors.echo", str(port))
    try:
        socket = await connect(f"http://127.0.0.1:{echo.ready['port']}/v1/connect")
        got: asyncio.Queue[bytes] = asyncio.Queue()
        socket.on_text = got.put_nowait
        for size in (0, 124, 125, 65_534, 65_535, 200_000):
            socket.send(b"<" + b"x" * size)
            async with asyncio.timeout(10 * PATIENCE):
                assert await got.get() == b"x" * size + b"<"
        socket.close()
    finally:
        await echo.close()
        hop.close()
        await hop.wait_closed()


def test_a_load_and_a_hop_start_without_a_server_framework() -> None:
    """Each round's sides have a process or two of their own; what they import they all pay."""
    heavy = {"fastapi", "uvicorn", "ray", "aiortc", "matplotlib", "sqlalchemy"}
    asked = f"import benchmarks.load, benchmarks.floors.hop, sys; print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_every_scenario_has_a_short_run(scenario: Scenario) -> None:
    chosen = parser().parse_args([scenario.name, *scenario.short()])
    assert chosen.command == scenario.name


def test_without_a_name_it_says_what_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    usage, *listed = capsys.readouterr().out.splitlines()
    assert usage == "python -m benchmarks NAME [--json FILE] [--html FILE] [options]"
    for scenario in SCENARIOS:
        assert f"  {scenario.name:<12}{scenario.summary}" in listed
    assert any("compare A.json B.json" in line for line in listed)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_each_option_says_what_it_is_and_what_holds_without_it(
    scenario: Scenario, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main([scenario.name, "--help"])
    shown = capsys.readouterr().out
    assert f"{scenario.name}: {scenario.summary}" in shown
    said = dict(re.findall(r"^  --([\w-]+)(?: \S+)?(?:  +(.*))?$", shown, re.MULTILINE))
    assert len(said) >= 3
    assert [option for option, text in said.items() if not text] == []
    unless = vars(parser().parse_args([scenario.name]))
    for option, text in said.items():
        default = unless[option.replace("-", "_")]
        has_one = default is not None and default is not False
        assert (f"(default: {default})" in text) is has_one, option


def test_a_repeated_round_can_be_declined_where_rounds_are_repeated() -> None:
    """The others name what disturbed them, and would ignore it."""
    took = {s.name for s in SCENARIOS if "once" in parser().parse_args([s.name])}
    assert took == {"signaling", "fanout", "lifecycle", "join", "media", "crowd"}
