"""What `crowd` says of what it measured, whether or not the pool could follow."""

from __future__ import annotations

import pytest

from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.result import ScenarioResult
from benchmarks.sampler import Usage
from benchmarks.scenarios.crowd import BESIDE, HELD, STARTING, judge, weigh

GB = 2**30


def reply(milliseconds: float) -> dict[str, Histogram]:
    made = Histogram()
    for _ in range(100):
        made.record(milliseconds / 1e3)
    return {"reply": made}


def crowd(
    *, started: int, p99_ms: float = 20.0, missing: int = 0, refused: int = 0
) -> ScenarioResult:
    result = ScenarioResult("crowd", "", {})
    result.measurements = [
        Measurement(HELD, 0, reply(1.0), Histogram(), 100, 0),
        Measurement(
            BESIDE, 0, reply(p99_ms), Histogram(), 100, missing, counts={"refused": refused}
        ),
        Measurement(
            STARTING,
            0,
            {},
            Histogram(),
            100,
            0,
            counts={"started": started, "refused, no_capacity": 100 - started},
        ),
    ]
    judge(result, 5.0)
    return result


def outcome(result: ScenarioResult) -> dict[str, bool]:
    return {target.name: target.met for target in result.targets}


def test_with_a_pool_that_follows_the_p99_is_judged() -> None:
    assert outcome(crowd(started=99)) == {
        "requests unanswered": True,
        "sessions a second that started": True,
        "request p99 while sessions start and end": True,
    }
    assert not outcome(crowd(started=99, p99_ms=30.0))["request p99 while sessions start and end"]


def test_with_one_that_cannot_the_rate_is_missed_and_refusals_are_told() -> None:
    result = crowd(started=30)
    assert outcome(result) == {
        "requests unanswered": True,
        "sessions a second that started": False,
    }
    rate = result.targets[-1]
    assert rate.value == 1.5
    told = str(result.facts["sessions beside them"])
    assert told == "100 due, 30 started, 70 refused, no_capacity"
    assert "1.50 of 5 sessions a second began" in str(
        result.facts["request p99 while sessions start and end is not judged"]
    )


@pytest.mark.parametrize("silent", [{"missing": 1}, {"refused": 1}])
def test_silence_and_refusals_are_no_noise_but_a_miss_beside_which_no_speed_counts(
    silent: dict[str, int],
) -> None:
    result = crowd(started=99, **silent)
    assert result.noise == []
    assert outcome(result) == {
        "requests unanswered": False,
        "sessions a second that started": True,
    }
    assert "1 requests had no answer" in str(
        result.facts["request p99 while sessions start and end is not judged"]
    )


def test_the_heaviest_moment_counts_with_every_process() -> None:
    light = [Usage(1, "gateway", 0.0, GB)]
    heavy = [*light, Usage(2, "ray::SessionHost.live", 0.0, 8 * GB), Usage(3, "gcs", 0.0, 4 * GB)]
    result = ScenarioResult("crowd", "", {})
    weigh(result, [light, heavy, light])
    assert result.targets[0].value == 13.0
    assert not result.targets[0].met
    assert result.facts["PSS at its most, MB"] == {
        "session actors": 8192.0,
        "gcs": 4096.0,
        "gateway": 1024.0,
    }
