"""What `failover` makes of what the pages noted, and when it says that a promise is kept."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.command import parser
from benchmarks.histogram import Histogram, enough
from benchmarks.measurement import Measurement
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.failover import AGAIN, KILLS_PER_CALL, histograms, judge
from benchmarks.standing_call import STEPS, Recovery, faults_of, recovery_of

KILLED = 1_700_000_000_000.0
WHOLE = ["session.started", "participant.joined", "participant.joined", "session.ended"]


def at(*offsets: float) -> list[float]:
    return [KILLED + offset for offset in offsets]


def record(types: list[str]) -> dict[str, Any]:
    return {"events": [{"seq": n, "type": type_} for n, type_ in enumerate(types, 1)]}


def test_the_gap_ends_with_the_first_picture_of_the_new_connection() -> None:
    steps = list(zip((*STEPS, "connected"), at(50, 120, 200, 260, 900), strict=True))
    found = recovery_of(KILLED, steps, at(-20, 30, 75, 310, 343))
    assert found == Recovery(
        last=75.0,
        steps={"told": 50.0, "offered": 120.0, "answered": 200.0, "connected": 260.0},
        again=310.0,
    )


def test_a_call_whose_pictures_stopped_before_the_kill_has_no_last_picture() -> None:
    steps = list(zip(STEPS, at(50, 120, 200, 260), strict=True))
    assert recovery_of(KILLED, steps, at(300)).last == 0.0


@pytest.mark.parametrize(
    ("types", "faults"),
    [
        (WHOLE, []),
        ([*WHOLE, "session.ended"], ["not ended once"]),
        ([*WHOLE[:2], *WHOLE[1:]], ["a participant twice"]),
        (["session.started", *WHOLE], ["not started once"]),
    ],
)
def test_a_record_that_a_takeover_doubled_is_named(types: list[str], faults: list[str]) -> None:
    assert faults_of(record(types)) == faults


def test_a_hole_in_the_journal_is_named() -> None:
    holed = record(WHOLE)
    holed["events"][-1]["seq"] += 1
    assert faults_of(holed) == ["a hole in the journal"]


def measured(*again_ms: float) -> ScenarioResult:
    steps = dict.fromkeys(STEPS, 1.0)
    seen = [Recovery(last=0.0, steps=steps, again=each) for each in again_ms]
    result = ScenarioResult("failover", "", {})
    result.measurements.append(
        Measurement(
            side="switchboard",
            round=0,
            histograms=histograms(seen),
            lateness=Histogram(),
            sent=len(seen),
            missing=0,
            seconds=1.0,
            foreign_share=0.0,
        )
    )
    return result


@pytest.mark.parametrize(
    ("again_ms", "faults", "met"),
    [
        ((*[500.0] * 98, 1_900.0, 1_900.0), [], [True, True, True]),
        ((*[500.0] * 98, 2_200.0, 2_200.0), [], [True, False, True]),
        ((*[1_200.0] * 98, 1_300.0, 1_300.0), [], [False, True, True]),
        ((*[500.0] * 98, 600.0, 600.0), ["not ended once"], [True, True, False]),
        # The slowest of a few is no p99, however slow.
        ((500.0, 500.0, 500.0, 2_200.0), [], [True, True]),
    ],
)
def test_the_promises_are_judged_one_by_one(
    again_ms: tuple[float, ...], faults: list[str], met: list[bool]
) -> None:
    result = measured(*again_ms)
    assert result.pooled("switchboard", AGAIN).count == len(again_ms)
    judge(result, faults)
    assert [target.met for target in result.targets] == met
    left = "kill -9 to picture again, p99 is not judged"
    assert (left in result.facts) is (len(again_ms) < 100)


def test_as_many_calls_are_made_as_a_p99_takes() -> None:
    """Each call is seen by two pages."""
    unless = parser().parse_args(["failover"])
    assert 2 * KILLS_PER_CALL * unless.calls >= enough(99.0)
