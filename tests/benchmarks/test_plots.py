"""What is drawn against what."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from matplotlib import pyplot

from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.plots import apart, lines, looks_of, plain
from benchmarks.result import Line, ScenarioResult
from benchmarks.sampler import Usage
from benchmarks.scenarios.fanout import BESIDE, ROOM_BESIDE, costs


def measured(side: str, processor_s: float) -> Measurement:
    usage = [Usage(1, "gateway", processor_s, 0)]
    return Measurement(side, 0, {}, Histogram(), 20, 0, seconds=2.0, usage=usage)


def test_a_cost_is_what_goes_beyond_silence() -> None:
    assert measured("switchboard", 0.3).cost_ms() == pytest.approx(15.0)
    assert measured("switchboard", 0.3).cost_ms(0.05) == pytest.approx(10.0)


def test_the_cost_of_fan_out_is_drawn_against_its_receivers() -> None:
    sides = ("switchboard 1x4", "switchboard 1x50", "room 1x4", "room 1x50")
    beside = (f"{BESIDE} 1x4", f"{ROOM_BESIDE} 1x4")
    drawn = costs(
        [measured(side, 0.1 * number) for number, side in enumerate((*sides, *beside), 1)],
        dict.fromkeys(sides, 0.0),
    )
    rounded = {line.name: [(x, round(y, 6)) for x, y in line.points] for line in drawn}
    assert rounded == {
        "switchboard": [(4.0, 5.0), (50.0, 10.0)],
        "room": [(4.0, 15.0), (50.0, 20.0)],
    }


def test_a_server_that_is_elsewhere_has_no_cost() -> None:
    elsewhere = measured("switchboard 1x4", 0.1)
    elsewhere.usage = []
    assert costs([elsewhere], {}) == []


def test_who_has_a_colour_and_the_size_a_line() -> None:
    looks = looks_of(["us 1x4", "room 1x4", "us 1x50", "room 1x50"])
    assert looks["us 1x4"][0] == looks["us 1x50"][0] != looks["room 1x4"][0]
    assert looks["us 1x4"][1] == looks["room 1x4"][1] != looks["us 1x50"][1]
    assert len(set(looks.values())) == 4
    assert looks_of(["us 4", "us 6"])["us 4"][0] == looks_of(["us 4", "us 6"])["us 6"][0]


@pytest.mark.parametrize(
    ("least", "most", "shown"),
    [
        (0.6, 1.4, ["0.6", "0.7", "0.8", "0.9", "1"]),
        (0.5, 12.0, ["0.5", "1", "2", "5", "10"]),
        (0.01, 500.0, ["0.01", "0.1", "1", "10", "100"]),
    ],
)
def test_the_numbers_of_a_logarithmic_axis_can_be_read(
    least: float, most: float, shown: list[str]
) -> None:
    figure, axes = pyplot.subplots()
    try:
        axes.plot([least, most], [1, 2])
        axes.set_xscale("log")
        plain(axes.xaxis)
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_majorticklocs() if low <= tick <= high]
        assert [axes.xaxis.get_major_formatter()(tick, 0) for tick in ticks] == shown
    finally:
        pyplot.close(figure)


def test_values_that_are_far_apart_are_drawn_so_that_the_small_ones_can_be_read() -> None:
    assert apart([0.4, 600.0])
    assert not apart([0.4, 4.0])
    assert not apart([0.0, 600.0]), "nothing has no logarithm"
    assert not apart([])
    result = ScenarioResult("signaling", "", {})
    result.lines = [
        Line("requests a second", "p50, ms", name, [(50.0, low), (800.0, high)])
        for name, low, high in (("floor", 0.4, 0.5), ("naive", 2.0, 600.0))
    ]
    ticks = re.findall(r">([\d.]+)</text>", lines(result, "requests a second"))
    assert {"1", "10", "100"} <= set(ticks)


def test_a_silence_that_was_busier_than_the_rounds_makes_no_cost_below_zero() -> None:
    assert costs([measured("switchboard 1x4", 0.1)], {"switchboard 1x4": 0.5}) == []


@pytest.mark.parametrize(("shape", "slopes"), [("line", True), ("points", False), ("steps", False)])
def test_nothing_is_drawn_between_what_has_nothing_between(
    shape: Literal["line", "points", "steps"], slopes: bool
) -> None:
    result = ScenarioResult("pool", "", {})
    result.lines = [Line("seconds", "wait, s", "measured", [(0.0, 1.0), (9.0, 2.0)], shape)]
    drawn = lines(result, "seconds")
    ends = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"', drawn)
    assert any(x0 != x1 and y0 != y1 for x0, y0, x1, y1 in ends) is slopes
    assert "measured" not in drawn, "one line needs no name"
