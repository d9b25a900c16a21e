"""Rounds that others disturbed are measured again, and named when there is nothing better."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import cast

import psutil
import pytest

from benchmarks.command import parser
from benchmarks.fleet import Costs
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.media.beside import MediaLoad, MediaReport
from benchmarks.quiet import (
    MOST_ATTEMPTS,
    Discarded,
    name_noise,
    noise_of,
    rounds_of,
    tell_again,
    told,
)
from benchmarks.result import ScenarioResult
from benchmarks.scenarios import capacity, media


def measured(side: str, number: int, foreign: float, late_ms: float = 0.1) -> Measurement:
    lateness = Histogram()
    lateness.record(late_ms / 1e3)
    return Measurement(side, number, {}, lateness, 1, 0, foreign_share=foreign)


class Machine:
    """Others take these shares of a processor in turn, then the last one for ever."""

    def __init__(self, shares: Iterable[float]) -> None:
        self._shares: Iterator[float] = iter(shares)
        self._last = 0.0
        self.order: list[str] = []

    async def measure(self, side: str, number: int) -> Measurement:
        self.order.append(side)
        self._last = next(self._shares, self._last)
        return measured(side, number, self._last)

    async def calm(self) -> None:
        pass

    async def rounds(
        self, count: int, *, once: bool = False
    ) -> tuple[list[Measurement], Discarded]:
        steps: list[int] = []
        found = await rounds_of(
            "AB", self.measure, count, lambda: steps.append(1), calm=self.calm, once=once
        )
        assert len(steps) == 2 * count, "progress goes to its end, whatever others do"
        return found


async def test_sides_take_turns_in_both_orders() -> None:
    machine = Machine([0.0])
    kept, again = await machine.rounds(2)
    assert machine.order == ["A", "B", "B", "A"]
    assert not again
    assert noise_of(kept) == []


async def test_a_disturbed_round_is_measured_again_with_all_its_sides() -> None:
    machine = Machine([0.0, 0.9, 0.0])
    kept, again = await machine.rounds(2)
    assert told(again) == "1 for others"
    assert noise_of(kept) == []
    assert sorted((m.side, m.round) for m in kept) == [("A", 0), ("A", 1), ("B", 0), ("B", 1)]


async def test_who_doubts_what_was_discarded_finds_it_in_the_file() -> None:
    machine = Machine([0.0, 0.9, 0.0])
    result = ScenarioResult("signaling", "", {})
    result.measurements, again = await machine.rounds(2)
    tell_again(result, again)
    saved = json.loads(json.dumps(result.to_json()))
    assert [(each["side"], each["foreign_share"]) for each in saved["discarded"]] == [
        ("A", 0.0),
        ("B", 0.9),
    ]
    assert len(saved["measurements"]) == 4
    for each in (*saved["discarded"], *saved["measurements"]):
        assert Histogram.from_json(each["lateness_histogram"]).count == 1, "not its summary alone"


async def test_once_measures_nothing_again_and_names_the_noise() -> None:
    machine = Machine([0.9])
    kept, again = await machine.rounds(2, once=True)
    assert machine.order == ["A", "B", "B", "A"]
    assert not again
    assert len(noise_of(kept)) == 4


async def test_a_late_load_is_measured_again() -> None:
    times = iter([0.1, 5.0])

    async def measure(side: str, number: int) -> Measurement:
        return measured(side, number, 0.0, late_ms=next(times, 0.1))

    async def calm() -> None:
        pass

    kept, again = await rounds_of("AB", measure, 1, lambda: None, calm=calm)
    assert told(again) == "1 for the late load of B", "of two sides one alone: that is to be seen"
    assert noise_of(kept) == []


async def test_a_machine_that_never_rests_is_named_as_noise() -> None:
    machine = Machine([0.9])
    kept, again = await machine.rounds(2)
    assert told(again) == f"{(MOST_ATTEMPTS - 1) * 2} for others"
    assert [(m.side, m.round) for m in kept] == [("A", 0), ("B", 0), ("A", 1), ("B", 1)], (
        "in the order of the sides, whose turn it ever was first"
    )
    assert len(noise_of(kept)) == 4


async def test_a_packets_cost_is_of_the_rounds_that_were_quiet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([0.9, 0.0, 0.9])

    async def measure(side: media.Side, number: int, how: argparse.Namespace) -> media.Round:
        of = measured(side.name, number, next(times, 0.0))
        return media.Round(number, cast(MediaReport, None), 0.0, 0, of)

    monkeypatch.setattr(media, "measure", measure)
    monkeypatch.setattr("benchmarks.machine.CALM_SECONDS", 0.0)
    nobody, nothing = cast(psutil.Process, None), cast(MediaLoad, None)
    sides = [media.Side(name, nobody, nothing) for name in ("switchboard 4", "janus 4")]
    steps: list[int] = []
    options = argparse.Namespace(rounds=2, once=False)
    assert told(await media.run(sides, options, lambda: steps.append(1))) == "2 for others"
    for side in sides:
        assert [each.number for each in side.rounds] == [0, 1]
        assert [each.measurement.foreign_share for each in side.rounds] == [0.0, 0.0]
    assert len(steps) == 4
    assert not await media.run(sides, argparse.Namespace(rounds=1, once=True), lambda: None)


async def test_a_capacity_of_a_disturbed_machine_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def costs(*_: object) -> Costs:
        result = cast(ScenarioResult, _[1])
        result.measurements.append(measured("switchboard", 0, 0.9))
        return Costs(1.0, 70.0, 1.0, 50.0, 50.0, 5_000.0)

    monkeypatch.setattr(capacity, "measured", costs)
    options = parser().parse_args(["capacity", "--hours", "0.1"])
    result = await capacity.Capacity().run(options, lambda what, share: None)
    assert "other processes kept 0.90 processors busy" in result.noise[0]


def test_answers_that_never_came_and_refusals_are_noise() -> None:
    of = measured("A", 1, 0.0)
    of.sent, of.missing, of.counts = 9, 2, {"started": 7, "refused, no_capacity": 3}
    assert noise_of([of]) == [
        "2 of 9 answers never came in round 2 of A",
        "3 of 9 were refused, no_capacity in round 2 of A",
    ]


def test_a_late_load_is_noise() -> None:
    assert "sent late" in noise_of([measured("A", 0, 0.0, late_ms=5.0)])[0]


def test_what_a_scenario_means_to_happen_is_no_noise() -> None:
    of = measured("A", 0, 0.9, late_ms=5.0)
    other = measured("B", 0, 0.0, late_ms=5.0)
    other.counts = {"refused, no_capacity": 3, "refused, rate": 1}
    result = ScenarioResult("storm", "", {}, [of, other])
    name_noise(result, meant=["sent late", "no_capacity"])
    assert result.noise == [
        "other processes kept 0.90 processors busy in round 1 of A",
        f"1 of {other.sent} were refused, rate in round 1 of B",
    ]
