"""A rush of consumers while sessions start: how long until everyone waits, and rings."""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.quantities import count
from benchmarks.quiet import name_noise
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench, Plan
from benchmarks.scenario import Progress, add_round_options, add_target_options, counted, parameters
from benchmarks.subject import Subject, target_of

WAITING_MS = 1_000.0
CONSUMERS = "consumers"


class Storm:
    """Both loads at once against one gateway; the calm before them is the reference."""

    name = "storm"
    summary = "hundreds of consumers connect within a second while sessions start"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(
            parser,
            rounds=3,
            seconds=1.0,
            rate=300.0,
            rate_of="consumers a second",
            warm_up=0.0,
            # A rush is meant to be late, and so no reason to measure it again.
            again=False,
        )
        parser.add_argument("--starts", type=count, default=4, help="sessions that start meanwhile")
        add_target_options(parser)

    def short(self) -> list[str]:
        return ["--rounds", "1", "--rate", "150", "--starts", "2"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        rush = Plan(options.rounds, options.seconds, options.warm_up, options.rate)
        starts = Plan(
            options.rounds, options.seconds, 0.0, options.starts / options.seconds, even=True
        )
        async with Bench.open() as bench:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, target_of(options), standbys=options.starts + 1)
            storm = await bench.side(CONSUMERS, "storm", subject.origin, subject.servers)
            calls = await bench.side(
                "sessions in the storm",
                "lifecycle",
                subject.origin,
                subject.servers,
                pairs=options.starts + 1,
            )
            step = counted(progress, "storm", options.rounds, 0.2, 1.0)
            for number in range(options.rounds):
                await subject.until_standing(options.starts + 1)
                result.measurements += await asyncio.gather(
                    bench.round(storm, number, rush), bench.round(calls, number, starts)
                )
                step()
        # A rush is meant to be late: only missing answers make it meaningless.
        name_noise(result, meant=["sent late"])
        result.hold("everyone waits, p99", CONSUMERS, "waiting", 99.0, WAITING_MS)
        return result
