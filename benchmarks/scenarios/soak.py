"""Sessions that live on while others come and go, for half an hour: what grows, and what slows."""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import replace

from benchmarks.census import Census
from benchmarks.course import Course, Interval, judge, tell
from benchmarks.measurement import Measurement
from benchmarks.quantities import amount, amount_or_none, count
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.scenario import Progress, add_target_options, counted, parameters
from benchmarks.subject import Subject, target_of

SIZE = 4
HELD, PASSING = "held", "coming and going"
PAIRS = 4


class Soak:
    """Two loads side by side in intervals; after each, every server process is counted."""

    name = "soak"
    summary = "sessions that live on while others come and go: growth and slowness over time"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--minutes", type=amount, default=30.0, help="in all, the warm-up apart")
        add("--interval", type=amount, default=10.0, help="seconds between two countings")
        add("--warm-up", type=amount_or_none, default=60.0, help="seconds not counted")
        add("--sessions", type=count, default=3, help="of four, that live on")
        add("--rate", type=amount, default=100.0, help="requests a second in them, all together")
        add("--starts", type=amount, default=0.2, help="sessions of four that start each second")
        add("--stay", type=amount_or_none, default=5.0, help="seconds that one of those stays")
        add("--standbys", type=count, default=3, help="that the pool keeps")
        add_target_options(parser)

    def short(self) -> list[str]:
        return [
            "--minutes",
            "0.6",
            "--interval",
            "3",
            "--warm-up",
            "3",
            *("--starts", "0.5", "--stay", "2"),
        ]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        async with Bench.open() as bench:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, target_of(options), standbys=options.standbys)
            held = await bench.side(
                HELD, "request", subject.origin, [], sessions=options.sessions, size=SIZE
            )
            passing = await bench.side(
                PASSING,
                "lifecycle",
                subject.origin,
                [],
                pairs=PAIRS,
                size=SIZE,
                stay_ms=round(options.stay * 1e3),
            )
            await subject.until_standing(options.standbys + options.sessions)
            progress("warming up", 0.02)
            course = await watch(bench, subject, (held, passing), options, progress)
        tell(result, course)
        judge(result, course)
        return result


async def watch(
    bench: Bench,
    subject: Subject,
    sides: tuple[Side, Side],
    options: argparse.Namespace,
    progress: Progress,
) -> Course:
    """Load both sides for the whole time; neither waits for the other's answers."""
    held, passing = sides
    census = Census(subject.family)
    count = max(1, round(options.minutes * 60 / options.interval))
    asking = Plan(count, options.interval, 0.0, options.rate)
    starting = replace(asking, rate=options.starts)
    await asyncio.gather(
        bench.round(held, count, replace(asking, seconds=options.warm_up)),
        bench.round(passing, count, replace(starting, seconds=options.warm_up)),
        asyncio.to_thread(census.take),
    )
    step = counted(progress, "interval", count, 0.05, 0.98)
    course = Course()
    began = time.monotonic()

    async def ask() -> None:
        for number in range(count):
            measured = await bench.round(held, number, asking)
            at = time.monotonic() - began
            # Counted while the next interval runs already: requests are on their way all the time.
            counting.append(asyncio.create_task(note(at, measured)))
            step()

    async def note(at: float, measured: Measurement) -> None:
        measured.usage = await asyncio.to_thread(census.take)
        course.intervals.append(Interval(at, measured))

    async def start() -> None:
        while (at := time.monotonic() - began) < count * options.interval:
            measured = await bench.round(passing, len(course.passing), starting)
            course.passing.append((at + options.interval, measured))

    counting: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as both:
        both.create_task(ask())
        both.create_task(start())
    await asyncio.gather(*counting)
    return course
