"""How long from the agent's click until the consumer's screen rings, with a warm pool."""

from __future__ import annotations

import argparse

from benchmarks.quiet import noise_of
from benchmarks.result import ScenarioResult, absolute
from benchmarks.rounds import Bench, Plan
from benchmarks.scenario import Progress, add_round_options, counted, parameters
from benchmarks.subject import Subject

RINGING_MS = 30.0
FEWEST = 100
"""Sessions, below which their p99 is only the slowest of a few."""


class Lifecycle:
    """Sessions start at random moments, slowly enough that the pool stays warm."""

    name = "lifecycle"
    summary = "click, ringing, accepted, from a warm pool and from an empty one"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(parser, rounds=3, seconds=40.0, rate=1.0)
        parser.add_argument("--standbys", type=int, default=6)
        parser.add_argument("--cold", type=int, default=3, help="sessions without a standby")
        parser.add_argument("--target", help="origin of a gateway that is up already")

    def short(self) -> list[str]:
        return ["--rounds", "1", "--seconds", "10", "--cold", "0"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        async with Bench.open() as bench:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, options.target, standbys=options.standbys)
            warm = await bench.side("warm", "lifecycle", subject.origin, subject.servers, pairs=4)
            step = counted(progress, "round", options.rounds, 0.1, 0.8)
            plan = Plan(options.rounds, options.seconds, options.warm_up, options.rate)
            for number in range(options.rounds):
                await subject.until_standing(options.standbys)
                result.measurements.append(await bench.round(warm, number, plan))
                step()
        if options.cold and options.target is None:
            async with Bench.open() as bench:
                progress("starting Switchboard without standbys", 0.8)
                # Each session needs a process of its own, or the second would find the first's.
                subject = await Subject.open(bench, None, standbys=0, reuse=0)
                cold = await bench.side(
                    "cold", "lifecycle", subject.origin, subject.servers, pairs=1, stay_ms=1000
                )
                step = counted(progress, "cold session", options.cold, 0.85, 1.0)
                for number in range(options.cold):
                    one = Plan(1, seconds=4.0, warm_up=0.0, rate=0.25, even=True)
                    result.measurements.append(await bench.round(cold, number, one))
                    step()
        result.noise = noise_of(result.measurements)
        judge(result)
        return result


def judge(result: ScenarioResult) -> None:
    """Hold ringing against what people notice, where enough sessions rang to know a p99."""
    ringing = result.pooled("warm", "ringing")
    if ringing.count < FEWEST:
        result.facts["click to ringing is not judged"] = (
            f"{ringing.count} sessions are too few for a p99"
        )
        return
    result.judge(
        absolute(
            "click to ringing, p99, warm pool", ringing.percentile(99.0), RINGING_MS, unit="ms"
        )
    )
