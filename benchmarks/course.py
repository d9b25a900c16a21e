"""The course of a long run: its lines for a plot, and whether anything grew or slowed down.

Pure, so that it can be tried on made-up courses.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.census import Growth, lasting, thirds
from benchmarks.histogram import Histogram, TooFew
from benchmarks.measurement import Measurement
from benchmarks.quiet import disturbance
from benchmarks.result import Line, ScenarioResult
from benchmarks.sampler import Usage
from benchmarks.targets import absolute

MOST_GROWTH = 1.1
"""Of the median of the last third over that of the first, beyond the margin."""
MOST_SLOWER = 1.5
MARGINS = {"descriptors": 16.0, "memory, MB": 12.0}
"""Growth that is none: connections that happen to stand, pages that are kept for next time."""
SHORTEST_SECONDS = 180.0
"""Of a course that is judged for growth: the pool follows the arrivals of the last minute, so that
the number of standbys is no leak before each third is as long as that."""
LEAST_STARTED = 0.95
"""Of the sessions that were due to come and go."""


@dataclass(slots=True)
class Interval:
    """What one interval showed."""

    at: float
    """Seconds from the beginning to its end."""
    held: Measurement
    """Its usage is a census: every server process that was there at the end."""

    @property
    def census(self) -> list[Usage]:
        return self.held.usage


@dataclass(slots=True)
class Course:
    """Everything a soak saw, in order."""

    intervals: list[Interval] = field(default_factory=list)
    passing: list[tuple[float, Measurement]] = field(default_factory=list)
    """Seconds from the beginning, and the interval of the sessions that come and go."""

    @property
    def counted(self) -> bool:
        """Whether the server's processes are here, where they can be counted."""
        return any(each.census for each in self.intervals)


def tell(result: ScenarioResult, course: Course) -> None:
    """Put the course into measurements, lines and facts."""
    result.measurements = [each.held for each in course.intervals]
    result.measurements += [measured for _, measured in course.passing]
    asked = [(each.at, each.held.histograms["reply"]) for each in course.intervals]
    rang = [(at, measured.histograms["ringing"]) for at, measured in course.passing]
    result.lines += [
        over_time("request, ms", "p99", percentiles(asked, 99.0)),
        over_time("request, ms", "p50", percentiles(asked, 50.0)),
        over_time("click to ringing, ms", "p50", percentiles(rang, 50.0)),
    ]
    if course.counted:
        result.lines += holdings(course)
    counts: Counter[str] = Counter()
    for _, measured in course.passing:
        counts.update(measured.counts)
    result.facts["sessions that came and went"] = ", ".join(
        f"{count} {what}" for what, count in counts.items()
    )


def holdings(course: Course) -> list[Line]:
    """Draw what the server's processes held, and who used the processors."""
    lines = []
    for panel, value in HOLDINGS.items():
        for kind, part in PARTS.items():
            points = [(each.at, value(part(each.census))) for each in course.intervals]
            lines.append(over_time(panel, kind, points))
    shares = [(each.at, each.held) for each in course.intervals]
    return [
        *lines,
        over_time("processors", "Switchboard", [(at, m.processor_share) for at, m in shares]),
        over_time("processors", "others", [(at, m.foreign_share) for at, m in shares]),
    ]


def over_time(panel: str, name: str, points: Iterable[tuple[float, float]]) -> Line:
    """Make a line over minutes of points in seconds."""
    return Line("minutes", panel, name, [(at / 60, value) for at, value in points])


def percentiles(
    intervals: Iterable[tuple[float, Histogram]], percent: float
) -> list[tuple[float, float]]:
    """Return one percentile of each interval in which enough was measured for it."""
    return [(at, each.percentile(percent)) for at, each in intervals if each.bears(percent)]


PARTS: dict[str, Callable[[Iterable[Usage]], list[Usage]]] = {
    "session actors": lambda census: [u for u in census if u.is_session_actor],
    "all else": lambda census: [u for u in census if not u.is_session_actor],
}
HOLDINGS: dict[str, Callable[[Iterable[Usage]], float]] = {
    "memory, MB": lambda of: sum(u.memory_bytes for u in of) / 2**20,
    "descriptors": lambda of: float(sum(u.descriptors or 0 for u in of)),
    "threads": lambda of: float(sum(u.threads or 0 for u in of)),
    "processes": lambda of: float(sum(1 for _ in of)),
}


def judge(result: ScenarioResult, course: Course) -> None:
    """Hold the course against what must be true of a service that is never restarted."""
    silent = sum(m.missing for m in result.measurements)
    silent += sum(each.held.refused for each in course.intervals)
    result.judge(absolute("requests and starts unanswered", silent, 0.0, unit="", robust=True))
    due = sum(measured.sent for _, measured in course.passing)
    started = sum(measured.counts["started"] for _, measured in course.passing)
    if due:
        result.judge(
            absolute(
                "sessions that started, of those due",
                started / due,
                LEAST_STARTED,
                unit="",
                direction="at least",
                robust=True,
            )
        )
    seconds = course.intervals[-1].at if course.intervals else 0.0
    if seconds < SHORTEST_SECONDS:
        result.leave("growth", f"{seconds:.0f} s are too short, {SHORTEST_SECONDS:.0f} are needed")
        return
    try:
        if course.counted:
            judge_growth(result, [each.census for each in course.intervals])
        else:
            result.leave("growth", "the server's processes are elsewhere")
        judge_slowness(result, [each.held for each in course.intervals])
    except ValueError as error:
        result.leave("growth", error)


def judge_growth(result: ScenarioResult, censuses: Sequence[Sequence[Usage]]) -> None:
    """Compare the first third with the last, of all processes and of each that was always there."""
    for what, margin in MARGINS.items():
        value = HOLDINGS[what]
        whole = Growth.of([value(census) for census in censuses])
        result.facts[f"{what}, medians of the first and the last third"] = (
            f"{whole.first:.0f} and {whole.last:.0f}"
        )
        judge_ratio(result, f"{what}: all server processes", whole.beyond(margin), MOST_GROWTH)
        grown = [
            (Growth.of([value([usage]) for usage in held]), held[-1].name)
            for held in lasting(censuses).values()
        ]
        if not grown:
            continue
        most, name = max(grown, key=lambda each: each[0].beyond(margin))
        result.facts[f"{what}: the lasting process that grew most"] = (
            f"{name}, {most.first:.1f} to {most.last:.1f}"
        )
        judge_ratio(
            result, f"{what}: the lasting process that grew most", most.beyond(margin), MOST_GROWTH
        )


def judge_ratio(result: ScenarioResult, name: str, ratio: float, most: float) -> None:
    result.judge(absolute(f"{name}, last third over first", ratio, most, unit="x", robust=True))


def judge_slowness(result: ScenarioResult, held: Sequence[Measurement]) -> None:
    """Compare the p99 of the intervals that nobody disturbed; too few of them are noise."""
    name = "request p99, last third over first"
    quiet = [
        [m for m in third if disturbance(m) is None and m.histograms["reply"].count]
        for third in thirds(held)
    ]
    for which, intervals, all_of in zip(("first", "last"), quiet, thirds(held), strict=True):
        if 2 * len(intervals) < len(all_of):
            result.noise.append(
                f"{len(all_of) - len(intervals)} of {len(all_of)} intervals of the {which} third "
                f"were disturbed: {next(d for m in all_of if (d := disturbance(m)))}"
            )
    if not all(quiet):
        return
    try:
        first, last = (
            statistics.median(m.histograms["reply"].percentile(99.0) for m in third)
            for third in quiet
        )
    except TooFew as few:
        result.leave(name, few)
        return
    result.facts["request p99, medians of the first and the last third, ms"] = (
        f"{first:.2f} and {last:.2f}"
    )
    result.judge(absolute(name, last / first, MOST_SLOWER, unit="x"))
