"""Scenarios run small against a Switchboard that is up: the guard against lost speed, and that they
measure what they say and leave nothing behind.

The guard asks how many times as long as the floor's, in the same run, the quickest twentieth of our
messages takes: what others on the machine do makes messages slower and none quicker.

It fails when a message goes through one Ray call. With an actor that says back what the gateway is
about to send (`await echo.handle.remote(data)` before `trunk.send`) the ratio was 5.8 to 6.9 in six
runs; the bound is 2.5.

It does not fail because the machine is busy. As the path is, the ratio was 0.97 to 1.20 in ten
runs, beside which eight to eleven other processes wanted the two processors (both on 2026-11-27).
The median of the best of four rounds, by which the guard went before, was 0.2 to 1.5 there, and 3.1
in a run before them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from benchmarks.command import SCENARIOS, parser
from benchmarks.histogram import Histogram
from benchmarks.process import lives
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench
from benchmarks.subject import Subject

pytestmark = pytest.mark.asyncio(loop_scope="module")
STORM = ["--rate", "40", "--starts", "1", "--rounds", "1", "--seconds", "0.5"]
GUARD = [
    *("--rounds", "4", "--seconds", "0.4", "--warm-up", "0.15", "--rate", "200", "--once"),
    *("--sessions", "1", "--loads", ""),
]
QUICKEST = 5.0
"""Per cent of a side's messages that are waited for no longer than the guard says."""
MOST = 2.5
"""Times the floor."""
MOST_TO_EVERYONE = 6.0
"""Times the room, of which a run has few events; at p99 and with more people the target is 2."""
STANDBYS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def subject() -> AsyncIterator[Subject]:
    """A Switchboard as scenarios start it. With it end its processes and its folders."""
    async with Bench.open() as bench:
        up = await Subject.open(bench, None, standbys=STANDBYS)
        (server,) = up.servers
        family = server.family()
        data = Path(str(server.ready["api_key_file"])).parent
        ray = {Path(each.environ()["RAY_AUTH_TOKEN_PATH"]).parent for each in up.actors()}
        assert len(up.actors()) == STANDBYS
        assert data.exists()
        assert all(folder.exists() for folder in ray)
        yield up
        family = [*family, *server.family()]
    assert [each for each in family if lives(each)] == []
    assert not data.exists()
    assert not any(folder.exists() for folder in ray)


async def measured(name: str, arguments: list[str], subject: Subject) -> ScenarioResult:
    """Run a scenario against what is up; it shows how far it is, and leaves nothing behind."""
    (scenario,) = (each for each in SCENARIOS if each.name == name)
    options = parser().parse_args([name, "--target", subject.origin, *arguments])
    shown: list[tuple[str, float]] = []
    before = set(psutil.Process().children(recursive=True))
    result = await scenario.run(options, lambda what, share: shown.append((what, share)))
    ours = [each for server in subject.servers for each in server.family()]
    after = set(psutil.Process().children(recursive=True)) - set(ours)
    assert after <= before
    shares = [share for _, share in shown]
    assert all(what for what, _ in shown)
    assert shares == sorted(shares)
    assert len(set(shares)) >= 2
    assert shares[0] == 0.0
    assert 0.8 <= shares[-1] <= 1.0
    assert result.measurements
    for each in result.measurements:
        assert each.missing == 0, each.side
        assert not [what for what in each.counts if what.startswith("refused")], each.counts
    return result


async def test_signalling_stays_near_the_floor(subject: Subject) -> None:
    result = await measured("signaling", [*GUARD, "--without-naive"], subject)
    asked, told = ("floor", "switchboard"), ("room", "switchboard to everyone")
    assert sorted((m.round, m.side) for m in result.measurements) == [
        (number, side) for number in range(4) for side in sorted((*asked, *told))
    ]
    for each in result.measurements:
        if each.side in asked:
            assert 0 < each.histograms["reply"].count < each.sent, "the warm-up does not count"
        elsewhere = each.side.startswith("switchboard")
        assert bool(each.usage) != elsewhere, "a server elsewhere cannot be weighed"
    assert over(result, "switchboard", "floor", "reply") <= MOST
    assert over(result, "switchboard to everyone", "room", "last") <= MOST_TO_EVERYONE


def over(result: ScenarioResult, subject: str, reference: str, what: str) -> float:
    """Return how many times as long the quickest messages of a side took as another's."""
    ours, theirs = (quickest(result.pooled(side, what)) for side in (subject, reference))
    return ours / theirs


def quickest(waited: Histogram) -> float:
    """Return how long the quickest twentieth took at most; of too few for one, the quickest."""
    return waited.percentile(QUICKEST if waited.bears(QUICKEST) else 0.0)


@pytest.mark.soak
async def test_the_guard_would_see_a_ray_call(subject: Subject) -> None:
    result = await measured("signaling", GUARD, subject)
    assert over(result, "naive", "floor", "reply") > MOST
    assert over(result, "switchboard", "floor", "reply") <= MOST


async def test_consumers_come_in_a_rush_while_a_session_rings(subject: Subject) -> None:
    result = await measured("storm", STORM, subject)
    rush, starts = result.measurements
    assert rush.histograms["waiting"].count == rush.sent > 1
    assert starts.counts["started"] == starts.sent == 1
    assert await subject.waited() <= starts.sent
    counts = {name: each.count for name, each in starts.histograms.items()}
    assert counts == dict.fromkeys(("ringing", "started", "accepted"), 1)


@pytest.mark.soak
@pytest.mark.parametrize(
    "words",
    [
        "lifecycle --rounds 1 --seconds 2 --rate 1 --warm-up 0 --once",
        "crowd --rounds 1 --seconds 2 --warm-up 1 --sessions 1 --starts 0.5 --stay 0.2 --once",
        "soak --minutes 0.1 --interval 2 --warm-up 1 --sessions 1 --starts 0.5 --stay 0.2",
        "join --rounds 1 --calls 1 --once",
    ],
)
async def test_the_others_measure_a_switchboard_that_is_up(subject: Subject, words: str) -> None:
    name, *arguments = words.split()
    result = await measured(name, arguments, subject)
    assert sum(each.sent for each in result.measurements) > 0
    assert all(h.count for m in result.measurements for h in m.histograms.values() if m.sent)


async def test_load_and_servers_keep_to_processors_of_their_own(subject: Subject) -> None:
    mine = frozenset(os.sched_getaffinity(0))
    async with Bench.open() as bench:
        side = await bench.side("load", "request", subject.origin, [], sessions=1, size=2)
        await subject.until_standing(STANDBYS)
        servers = [each for server in subject.servers for each in server.family()]
        load, others = bench.processors.load, bench.processors.servers
        assert not load & others
        assert {frozenset(p.cpu_affinity()) for p in side.load.family()} == {load or mine}
        assert {frozenset(p.cpu_affinity()) for p in servers} == {others or mine}
