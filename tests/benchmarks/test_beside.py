"""What `signaling` and `fanout` say of a time in which media flow."""

from __future__ import annotations

import pytest

from benchmarks.command import parser
from benchmarks.histogram import Histogram
from benchmarks.result import Measurement, ScenarioResult
from benchmarks.sampler import Usage
from benchmarks.scenarios.signaling import BESIDE, FLOOR_BESIDE, judge


def measured(side: str, number: int, milliseconds: float, busy: float) -> Measurement:
    reply = Histogram()
    reply.record(milliseconds / 1e3)
    usage = [Usage(1, "ray::SessionHost.live", busy, 0)]
    return Measurement(side, number, {"reply": reply}, Histogram(), 1, 0, seconds=1.0, usage=usage)


def judged(beside_ms: float, *, foreign: float = 0.0, busy_beside: float = 0.6) -> ScenarioResult:
    result = ScenarioResult("signaling", "", {})
    for number in range(3):
        for side, milliseconds, busy in (
            ("switchboard", 2.0, 0.1),
            (BESIDE, beside_ms, busy_beside),
            ("floor", 2.0, 0.1),
            (FLOOR_BESIDE, 8.0, 0.1),
        ):
            result.measurements.append(measured(side, number, milliseconds, busy))
            result.measurements[-1].foreign_share = foreign
    judge(result)
    return result


@pytest.mark.parametrize(("beside_ms", "met"), [(5.0, True), (7.0, False)])
def test_signalling_beside_media_is_held_against_its_own_idle(beside_ms: float, met: bool) -> None:
    result = judged(beside_ms)
    assert {target.name: target.met for target in result.targets} == {
        "signalling p50 over the floor": True,
        "signalling p99 over the floor": True,
        "signalling p99 beside media over idle": met,
    }
    assert result.facts["processors that the media took"] == 0.5
    told = result.facts["the floor's p99 beside media over its own idle"]
    assert told == "4.00 (4.00 to 4.00)"


@pytest.mark.parametrize(("busy", "off"), [(0.35, True), (0.55, False), (0.65, False), (0.8, True)])
def test_media_that_take_another_share_than_half_a_processor_are_named(
    busy: float, off: bool
) -> None:
    assert ("not beside half a processor" in judged(5.0, busy_beside=busy).facts) is off


def test_of_a_noisy_run_the_floor_tells_no_ratio_either() -> None:
    assert not [name for name in judged(5.0, foreign=0.9).facts if "over its own idle" in name]


@pytest.mark.parametrize("scenario", ["signaling", "fanout"])
def test_media_are_there_when_asked_for(scenario: str) -> None:
    assert parser().parse_args([scenario]).media == 0
    assert parser().parse_args([scenario, "--media", "10"]).media == 10
