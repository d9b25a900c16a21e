"""Sessions that come and go as a load sees them: started, refused, silent, staying."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import pytest

from benchmarks.histogram import Histogram
from benchmarks.loads.lifecycle import Lifecycle, Pair
from benchmarks.measurement import Measurement
from benchmarks.participant import Message, Participant, Refused
from benchmarks.process import Child, Processors
from benchmarks.quiet import name_noise
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.lifecycle import COLD, NO_STANDBY, judge
from benchmarks.subject import Subject
from tests.patience import until


class Person:
    """Answers at once, unless a request's type is among the `hurdles`."""

    def __init__(self, hurdles: dict[str, Exception | asyncio.Event]) -> None:
        self._hurdles = hurdles
        self.asked: list[str] = []
        self.closed = False

    async def ask(self, message: Message) -> Message:
        self.asked.append(str(message["type"]))
        match self._hurdles.get(self.asked[-1]):
            case asyncio.Event() as passed:
                await passed.wait()
            case Exception() as error:
                raise error
        return {}

    async def snapshot(self) -> Message:
        return {"invitation": {"invitation_id": "i1"}}

    def close(self) -> None:
        self.closed = True


class Scripted(Lifecycle):
    """The load itself, with people who need no server."""

    def __init__(self, stay_ms: int = 0, **hurdles: Exception | asyncio.Event) -> None:
        super().__init__("", pairs=1, stay_ms=stay_ms)
        self._hurdles = {name.replace("_", "."): hurdle for name, hurdle in hurdles.items()}
        self.people: list[Person] = []

    async def _pair(self) -> Pair:
        made = [Person(self._hurdles) for _ in range(2)]
        self.people += made
        return Pair(*(cast(Participant, person) for person in made))


async def opened(load: Scripted) -> Scripted:
    await load.open()
    load.begin(0.0)
    load.send(0, 0.0)
    return load


async def test_a_session_starts_rings_is_accepted_and_ends() -> None:
    load = await opened(Scripted())
    await until(lambda: len(load.people) == 4)
    assert load.counts() == {"started": 1, "ended": 1}
    assert load.missing() == 0
    assert {name: each.count for name, each in load.histograms().items()} == {
        "ringing": 1,
        "started": 1,
        "accepted": 1,
    }
    assert [person.closed for person in load.people] == [True, True, False, False]
    await load.close()


async def test_a_refusal_is_an_answer_and_says_why() -> None:
    load = await opened(Scripted(session_start=Refused("no", code="no_capacity")))
    await until(lambda: len(load.people) == 4)
    assert load.counts() == {"started": 0, "ended": 0, "refused, no_capacity": 1}
    assert load.missing() == 0
    await load.close()


async def test_silence_is_missing() -> None:
    load = await opened(Scripted(invitation_accept=TimeoutError()))
    await until(lambda: len(load.people) == 4)
    assert load.counts() == {"started": 1, "ended": 0, "unanswered": 1}
    assert load.missing() == 1
    await load.close()


async def test_who_waits_for_an_answer_is_missing_in_the_round_in_which_it_asked() -> None:
    passed = asyncio.Event()
    load = await opened(Scripted(session_start=passed))
    await until(lambda: "session.start" in load.people[0].asked)
    assert load.missing() == 1
    load.begin(1.0)
    assert load.missing() == 0
    passed.set()
    await until(lambda: len(load.people) == 4)
    assert load.missing() == 0
    assert load.counts() == {"started": 1, "ended": 1}, "counted when it happens"
    assert load.histograms()["started"].count == 0, "a latency of the round before"
    await load.close()


LEDGERS = """
import asyncio
from benchmarks.serving import say_ready
from benchmarks.switchboard import answer
from broker.messages.cluster.nodes import PoolLevel
from broker.messages.cluster.exporting import MeasureList

async def level():
    return PoolLevel(standbys=0, live=0, queued=0, waited=7)

async def counts():
    return MeasureList(measured=[])

say_ready()
asyncio.run(answer(level, counts))
"""


async def test_how_many_found_no_standby_is_what_the_ledger_says() -> None:
    server = await Child.start("server", [sys.executable, "-c", LEDGERS])
    try:
        subject = Subject("http://127.0.0.1:1", [server], Processors.divided())
        assert await subject.waited() == 7
        assert await subject.waited() == 7
    finally:
        await server.close()


def cold(*waited: int, foreign: float = 0.0) -> ScenarioResult:
    """One session in each round; so many of them found no standby."""
    result = ScenarioResult("lifecycle", "", {})
    for number, count in enumerate(waited):
        ringing = Histogram()
        ringing.record(1.0)
        result.measurements.append(
            Measurement(
                COLD,
                number,
                {"ringing": ringing},
                Histogram(),
                1,
                0,
                foreign_share=foreign,
                counts={"started": 1, NO_STANDBY: count},
            )
        )
    name_noise(result)
    judge(result)
    return result


def test_cold_is_said_of_sessions_that_all_found_no_standby() -> None:
    facts = cold(1, 1, 1).facts
    assert facts["cold sessions that found no standby"] == "3 of 3"
    said = facts["click to ringing, cold, ms"]
    assert isinstance(said, dict)
    assert said["p50"] == pytest.approx(1000.0, rel=0.01)


def test_one_that_found_a_standby_keeps_cold_from_being_said() -> None:
    facts = cold(1, 0, 1).facts
    assert facts["cold sessions that found no standby"] == "2 of 3"
    assert facts["click to ringing, cold, is not said"] == "not every session was cold"
    assert "click to ringing, cold, ms" not in facts


def test_of_a_noisy_run_only_the_count_is_said() -> None:
    facts = cold(1, 1, foreign=0.9).facts
    assert facts["cold sessions that found no standby"] == "2 of 2"
    assert not [name for name in facts if name.startswith("click to ringing, cold")]


async def test_who_stays_is_not_missing() -> None:
    load = await opened(Scripted(stay_ms=3_600_000))
    await until(lambda: load.counts()["started"] == 1 and load.missing() == 0)
    assert load.counts()["ended"] == 0
    await load.close()
    assert all(person.closed for person in load.people)
