"""What is judged of joining: the first pictures of both against a direct call and a fixed bound."""

from __future__ import annotations

import pytest

from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.join import judge

ROUNDS = 4
CALLS = 5


def of(side: str, number: int, consumer_ms: float, agent_ms: float) -> Measurement:
    histograms = {"first picture": Histogram(), "agent's": Histogram()}
    for name, value in (("first picture", consumer_ms), ("agent's", agent_ms)):
        for _ in range(CALLS):
            histograms[name].record(value / 1e3)
    return Measurement(side, number, histograms, Histogram(), CALLS, 0, seconds=10.0)


@pytest.mark.parametrize(
    ("consumer_ms", "agent_ms", "met"),
    [
        (150.0, 120.0, [True, True, True]),
        (210.0, 120.0, [False, True, True]),
        (150.0, 210.0, [True, False, True]),
        (260.0, 210.0, [False, False, False]),
    ],
)
def test_joining_is_held_against_the_direct_call_and_a_quarter_of_a_second(
    consumer_ms: float, agent_ms: float, met: list[bool]
) -> None:
    result = ScenarioResult("join", "", {})
    result.measurements = [
        each
        for number in range(ROUNDS)
        for each in (
            of("switchboard", number, consumer_ms, agent_ms),
            of("direct", number, 200.0, 200.0),
        )
    ]
    judge(result)
    names = [each.name.removeprefix("accept to ") for each in result.judged()]
    assert names == [
        "the consumer's first decoded picture, p50",
        "the agent's first decoded picture, p50",
        "first decoded picture, p50",
    ]
    assert [each.met for each in result.judged()] == met
