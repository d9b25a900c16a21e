"""What a session actor tells the ledger of itself: each thing once, and nothing while it cannot."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from actors.session.measuring import Measuring
from broker.measures import LOOP, Count, Standing
from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.measures import ActorMeasured
from tests.actors.house import house
from tests.actors.stage import Stage
from tests.patience import until

PERIOD_S = 5.0


class Desk:
    """Takes reports while it is open."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.open = True
        self.reports: list[ActorMeasured] = []
        self.measuring = Measuring(self.take, PERIOD_S, clock=lambda: self.now_s, tasks=lambda: 7)

    def take(self, method: str, report: ClusterMessage) -> bool:
        assert method == "actor.measured"
        assert isinstance(report, ActorMeasured)
        if self.open:
            self.reports.append(report)
        return self.open

    def beats(self, count: int, *, late_s: float = 0.0) -> None:
        for _ in range(count):
            self.now_s += 1.0
            self.measuring.beat(late_s, None)

    def told(self, word: Count) -> int:
        return sum(each.grown.get(word, 0) for each in self.reports)


def test_reports_come_about_every_period_and_not_all_at_once() -> None:
    desks = [Desk() for _ in range(50)]
    for desk in desks:
        desk.beats(200)
        assert 200 / 7 <= len(desk.reports) <= 200 / 4
    first = Counter(desk.reports[0].grown[Count.LOOP_5_MS] for desk in desks)
    assert len(first) > 2, "actors that began together do not report together"


def test_each_beat_is_told_once_also_when_the_ledger_was_away_for_a_while() -> None:
    desk = Desk()
    desk.beats(20)
    desk.open = False
    desk.beats(20, late_s=0.07)
    assert desk.told(Count.LOOP_100_MS) == 0
    desk.open = True
    desk.beats(20)
    desk.measuring.report(None)
    assert desk.told(Count.LOOP_5_MS) == 40
    assert desk.told(Count.LOOP_100_MS) == 20
    assert desk.told(LOOP.total) == 20 * 70_000
    told = len(desk.reports)
    desk.measuring.report(None)
    assert not set(desk.reports[told].grown) & set(LOOP.words), "what has not grown is not said"


def test_a_mistake_in_counting_costs_no_beat(caplog: pytest.LogCaptureFixture) -> None:
    def broken(method: str, report: ClusterMessage) -> bool:
        raise ZeroDivisionError

    Measuring(broken, PERIOD_S).report(None)
    assert [each.message for each in caplog.records] == ["not reported"]


async def test_how_a_session_stands_is_numbers() -> None:
    stage, desk = Stage(), Desk()

    def standing() -> dict[Standing, int]:
        desk.measuring.report(stage.session)
        found = dict(desk.reports[-1].standing)
        assert found.pop(Standing.RESIDENT) > 1_000_000
        assert found.pop(Standing.TASKS) == 7
        return found

    _, consumer = await stage.ringing()
    assert standing() == {Standing.SESSIONS_RINGING: 1, Standing.PARTICIPANTS_PRESENT: 1}
    stage.accept(consumer)
    await stage.settle()
    await stage.guest()
    assert standing() == {
        Standing.SESSIONS_TALKING: 1,
        Standing.PARTICIPANTS_PRESENT: 2,
        Standing.PARTICIPANTS_LOBBY: 1,
    }
    assert await stage.session.freeze(1.0)
    assert Standing.SESSIONS_MOVING in standing()
    await stage.close()
    assert standing() == {}


async def test_what_two_gateways_have_trunks_to_is_reported_once() -> None:
    beat_s = 0.05
    async with house(lonely_s=10 * beat_s, report_s=0.0) as made:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await made.ledger.assign()
        trunks = [await made.trunk(f"c{n}", f"g{n}") for n in range(2)]
        await until(lambda: len(made.ledger.reports) > 4, "a report on each beat")
        for trunk in trunks:
            trunk.close()
        told = sum(each.grown.get(word, 0) for each in made.ledger.reports for word in LOOP.words)
        # The actor may have begun to beat before the test looked at the clock.
        assert len(made.ledger.reports) <= told <= (loop.time() - begun) / beat_s + 5


async def test_the_last_words_of_an_actor_are_what_it_has_not_reported_yet() -> None:
    async with house(report_s=1e9) as made:
        await made.ledger.assign()
        (await made.trunk()).close()
        assert made.ledger.reports == []
        await made.ledger.stop_session()
        await until(made.over.is_set, "the end of the session")
        await until(lambda: made.ledger.reports, "the last report")
        (last,) = made.ledger.reports
        assert last.grown[Count.CPU_MS] > 0
        assert set(last.standing) == {Standing.RESIDENT, Standing.TASKS}
        assert last.standing[Standing.TASKS] > 1
