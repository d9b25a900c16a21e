"""What `soak` says of a course: growth, slowness, silence; on courses that are made up."""

from __future__ import annotations

import pytest

from benchmarks.census import Growth, lasting, thirds
from benchmarks.course import Course, Interval, judge, tell
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.result import ScenarioResult
from benchmarks.sampler import Usage

INTERVALS = 30
MB = 2**20


def usage(pid: int, memory_mb: float, descriptors: int, name: str = "gateway") -> Usage:
    return Usage(pid, name, 0.1, round(memory_mb * MB), descriptors, 8)


def measured(side: str, number: int, milliseconds: float, **changed: float) -> Measurement:
    latency = Histogram()
    for _ in range(100):
        latency.record(milliseconds / 1e3)
    return Measurement(
        side,
        number,
        {"reply" if side == "held" else "ringing": latency},
        Histogram(),
        sent=int(changed.get("sent", 1)),
        missing=int(changed.get("missing", 0)),
        seconds=10.0,
        foreign_share=changed.get("foreign", 0.0),
        counts={"started": int(changed.get("started", 1)), "ended": 1},
    )


def course(
    *,
    leaked_mb: float = 0.0,
    leaked_descriptors: int = 0,
    slower: float = 0.0,
    foreign: float = 0.0,
) -> Course:
    """Thirty intervals in which something changes evenly by these amounts in all."""
    made = Course()
    for number in range(INTERVALS):
        done = number / (INTERVALS - 1)
        held = measured("held", number, 1.0 + slower * done, foreign=foreign)
        held.usage = [
            usage(1, 100 + leaked_mb * done, 50 + round(leaked_descriptors * done)),
            usage(2, 700, 500, "ray::GCS"),
            # Comes and goes: nobody may call its absence growth, or its presence.
            *([usage(100 + number, 60, 40, "ray::SessionHost.live")] if number % 2 else []),
        ]
        made.intervals.append(Interval(10.0 * (number + 1), held))
        made.passing.append((10.0 * (number + 1), measured("coming and going", number, 20.0)))
    return made


def judged(of: Course) -> tuple[ScenarioResult, dict[str, bool]]:
    result = ScenarioResult("soak", "", {})
    tell(result, of)
    judge(result, of)
    return result, {target.name: target.met for target in result.targets}


def test_a_course_without_change_meets_everything() -> None:
    result, met = judged(course())
    assert len(met) == 7
    assert all(met.values())
    assert result.noise == []


@pytest.mark.parametrize(
    ("of", "missed"),
    [
        (course(leaked_mb=60), ["memory, MB: the lasting process that grew most"]),
        (course(leaked_descriptors=60), ["descriptors: the lasting process that grew most"]),
        (
            course(leaked_mb=400),
            ["memory, MB: all server processes", "memory, MB: the lasting process that grew most"],
        ),
        (course(slower=2.0), ["request p99"]),
    ],
)
def test_what_grows_or_slows_is_missed_and_nothing_else(of: Course, missed: list[str]) -> None:
    _, met = judged(of)
    assert [name for name, ok in met.items() if not ok] == [
        f"{name}, last third over first" for name in missed
    ]


def test_growth_within_the_margin_is_none() -> None:
    assert all(judged(course(leaked_mb=12, leaked_descriptors=16))[1].values())


def test_silence_and_starts_that_failed_are_missed() -> None:
    of = course()
    of.intervals[3].held.missing = 1
    for number in range(3):
        of.passing[number][1].counts["started"] = 0
    missed = [name for name, ok in judged(of)[1].items() if not ok]
    assert missed == ["requests and starts unanswered", "sessions that started, of those due"]


def test_on_a_busy_machine_slowness_is_noise_and_growth_is_judged_all_the_same() -> None:
    result, _ = judged(course(leaked_mb=400, slower=5.0, foreign=0.9))
    assert "10 of 10 intervals of the first third were disturbed" in result.noise[0]
    names = [target.name for target in result.judged() if not target.met]
    assert [name.split(",")[0] for name in names] == ["memory", "memory"]


def test_of_intervals_with_few_requests_no_p99_is_judged() -> None:
    of = course(slower=2.0)
    for interval in of.intervals:
        interval.held.histograms["reply"] = Histogram({1_000: 99})
    result, met = judged(of)
    assert result.noise == []
    assert all(met.values())
    told = result.facts["request p99, last third over first is not judged"]
    assert told == "99 are too few for a p99, which takes 100"
    assert [line.points for line in result.lines if line.name == "p99"] == [[]]


def test_a_few_disturbed_intervals_are_left_out() -> None:
    of = course()
    for interval in of.intervals[-4:]:
        interval.held.foreign_share = 0.9
        interval.held.histograms["reply"].record(5.0)
    result, met = judged(of)
    assert result.noise == []
    assert all(met.values())


def test_of_a_server_elsewhere_slowness_is_judged_and_growth_is_not() -> None:
    of = course(slower=2.0)
    for interval in of.intervals:
        interval.held.usage = []
    result, met = judged(of)
    assert result.facts["growth is not judged"] == "the server's processes are elsewhere"
    assert [name for name, ok in met.items() if not ok] == ["request p99, last third over first"]
    assert {line.panel for line in result.lines} == {"request, ms", "click to ringing, ms"}


@pytest.mark.parametrize(("stretch", "why"), [(1.0, "too short"), (10.0, "too few")])
def test_a_short_course_is_not_judged_for_growth(stretch: float, why: str) -> None:
    of = course(leaked_mb=400)
    del of.intervals[9:]
    for interval in of.intervals:
        interval.at *= stretch
    result, met = judged(of)
    assert set(met) == {"requests and starts unanswered", "sessions that started, of those due"}
    assert why in str(result.facts["growth is not judged"])


def test_lines_are_over_minutes_and_say_whose_they_are() -> None:
    result, _ = judged(course())
    memory = {line.name: line.points for line in result.lines if line.panel == "memory, MB"}
    assert memory["all else"][0] == (10.0 / 60, 800.0)
    assert [y for _, y in memory["session actors"][:2]] == [0.0, 60.0]


def test_only_processes_that_never_ended_are_lasting() -> None:
    of = course()
    assert set(lasting([each.census for each in of.intervals])) == {1, 2}


def test_thirds_leave_the_rest_in_the_middle() -> None:
    assert thirds([1, 2, 3, 4, 5, 6, 7]) == ([1, 2], [6, 7])
    assert thirds([1, 2]) == ([], [])


def test_a_margin_forgives_growth_and_hides_no_shrinking() -> None:
    assert Growth(100, 105).beyond(10) == 1.0
    assert Growth(100, 130).beyond(10) == 1.2
    assert Growth(100, 50).beyond(10) == 0.5
