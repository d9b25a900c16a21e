"""How long from the agent's click until the consumer's screen rings: a warm pool, and none."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Awaitable, Callable

from benchmarks.measurement import Measurement
from benchmarks.quantities import count, count_or_none
from benchmarks.quiet import name_noise, rounds_of, tell_again
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.scenario import Progress, add_round_options, add_target_options, counted, parameters
from benchmarks.subject import Subject, target_of

RINGING_MS = 30.0
WARM, COLD = "warm", "cold"
COLD_SECONDS = 2.0
"""From one cold session to the next that is due, of which there is none in its round."""
COLD_STAY_MS = 2_000
"""Beyond the end of its round, so that what its process took can be read."""
NO_STANDBY = "found no standby"


class Lifecycle:
    """Sessions start at random moments, slowly enough that the pool stays warm.

    Cold ones start one after another on a Switchboard that keeps no standby at any time, each in a
    process of its own. Which were cold is what the ledger counted, not what was meant.
    """

    name = "lifecycle"
    summary = "click, ringing, accepted, from a warm pool and from an empty one"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(
            parser, rounds=3, seconds=40.0, rate=1.0, rate_of="sessions that start each second"
        )
        parser.add_argument("--standbys", type=count, default=6, help="that the warm pool keeps")
        parser.add_argument(
            "--cold",
            type=count_or_none,
            default=20,
            help="sessions from a pool that keeps none; not of a target",
        )
        add_target_options(parser)

    def short(self) -> list[str]:
        return ["--rounds", "1", "--seconds", "10", "--cold", "3"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        has_cold = bool(options.cold) and options.target is None
        async with Bench.open() as bench:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, target_of(options), standbys=options.standbys)
            warm = await bench.side(WARM, "lifecycle", subject.origin, subject.servers, pairs=4)
            step = counted(progress, "round", options.rounds, 0.1, 0.6 if has_cold else 1.0)
            plan = Plan.of(options, options.rate)
            await measure(
                result,
                bench,
                subject,
                warm,
                plan,
                lambda: subject.until_standing(options.standbys),
                step,
            )
        if has_cold:
            async with Bench.open() as bench:
                progress("starting Switchboard without standbys", 0.6)
                # Each session needs a process of its own, or the second would find the first's.
                subject = await Subject.open(bench, None, standbys=0, reuse=0)
                cold = await bench.side(
                    COLD,
                    "lifecycle",
                    subject.origin,
                    subject.servers,
                    pairs=1,
                    stay_ms=COLD_STAY_MS,
                )
                step = counted(progress, "cold session", options.cold, 0.65, 1.0)
                one = Plan(
                    options.cold, COLD_SECONDS, 0.0, 1 / COLD_SECONDS, options.once, even=True
                )
                await measure(result, bench, subject, cold, one, subject.until_gone, step)
        name_noise(result)
        judge(result)
        return result


async def measure(
    result: ScenarioResult,
    bench: Bench,
    subject: Subject,
    side: Side,
    plan: Plan,
    until_ready: Callable[[], Awaitable[None]],
    step: Callable[[], None],
) -> None:
    """Run one side's rounds; each counts how many of its sessions found no standby."""

    async def one(_: Side, number: int) -> Measurement:
        await until_ready()
        before = await subject.waited()
        measured = await bench.round(side, number, plan)
        if subject.servers:
            measured.counts[NO_STANDBY] = await subject.waited() - before
        return measured

    found, again = await rounds_of([side], one, plan.rounds, step, once=plan.once)
    result.measurements += found
    tell_again(result, again, side.name)


def judge(result: ScenarioResult) -> None:
    """Hold ringing against what people notice, where enough sessions rang to know a p99."""
    for side in result.sides():
        tell_cold(result, side)
    result.hold("click to ringing, p99, warm pool", WARM, "ringing", 99.0, RINGING_MS)


def tell_cold(result: ScenarioResult, side: str) -> None:
    """Say how many of a side's sessions found no standby; cold are only those of a side of such."""
    mine = [m for m in result.measurements if m.side == side]
    if not all(NO_STANDBY in m.counts for m in mine):
        return
    sent, without = sum(m.sent for m in mine), sum(m.counts[NO_STANDBY] for m in mine)
    result.facts[f"{side} sessions that found no standby"] = f"{without} of {sent}"
    if side != COLD or result.noise:
        return
    ringing = result.pooled(side, "ringing")
    if without < sent or not ringing.count:
        result.facts["click to ringing, cold, is not said"] = "not every session was cold"
        return
    result.facts["click to ringing, cold, ms"] = {
        name: round(ringing.percentile(percent), 1)
        for name, percent in (("least", 0.0), ("p50", 50.0), ("p90", 90.0), ("most", 100.0))
        if ringing.bears(percent)
    }
    spent = statistics.median(m.cost_ms() for m in mine) / 1e3
    result.facts["processor time around one cold session, all server processes, s"] = round(
        spent, 2
    )
