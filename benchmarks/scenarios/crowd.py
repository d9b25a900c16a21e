"""Many sessions at once: what they weigh, and how fast they answer while others start and end."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.census import Census
from benchmarks.measurement import Measurement
from benchmarks.quantities import amount, amount_or_none, count
from benchmarks.quiet import disturbance, rounds_of, tell_again
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.sampler import Usage
from benchmarks.scenario import Progress, add_round_options, add_target_options, counted, parameters
from benchmarks.subject import Subject, target_of
from benchmarks.targets import absolute

SIZE = 4
HELD, BESIDE, STARTING = "held", "held while others start", "starting and ending"
PAIR_SECONDS = 2.0
"""How long a pair that is used up needs, at most, until the next one stands in its place."""
MEMORY_GB = 12.0
P99_MS = 25.0
LEAST_STARTED = 0.95
"""Of the rate that was asked for."""


class Crowd:
    """Sessions of four that stay, asked all the time, with and without starts beside them.

    What starts is what starts in life: an agent and a consumer. Its rate is due whether or not the
    pool can follow, so a pool that is too slow shows in the rate reached and in refusals.

    Servers use every processor, the load's as well, where it runs before them: of two processors
    one is not enough, since a hundred idle Ray actors alone keep most of one busy.
    """

    name = "crowd"
    summary = "a hundred sessions at once: memory, and answers while others start and end"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(
            parser,
            rounds=3,
            seconds=20.0,
            rate=200.0,
            rate_of="requests a second in those held, all together",
            warm_up=5.0,
        )
        add = parser.add_argument
        add("--sessions", type=count, default=100, help="of four, held all the time")
        add("--starts", type=amount, default=5.0, help="sessions that start each second")
        add("--stay", type=amount_or_none, default=2.0, help="seconds that one of those stays")
        add("--standbys", type=count, default=16, help="that the pool keeps")
        add_target_options(parser)

    def short(self) -> list[str]:
        return [
            *("--rounds", "1", "--seconds", "4", "--warm-up", "1"),
            *("--sessions", "4", "--starts", "0.5", "--standbys", "3"),
        ]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        censuses: list[Sequence[Usage]] = []
        async with Bench.open(shared=True) as bench:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, target_of(options), standbys=options.standbys)
            census = Census(subject.family)
            progress(f"setting up {options.sessions} sessions of four", 0.1)
            held = await bench.side(
                HELD,
                "request",
                subject.origin,
                subject.servers,
                sessions=options.sessions,
                size=SIZE,
            )
            starting = await bench.side(
                STARTING,
                "lifecycle",
                subject.origin,
                [],
                pairs=1 + round(options.starts * (options.stay + PAIR_SECONDS)),
                stay_ms=round(options.stay * 1e3),
            )
            beside = Side(BESIDE, held.load, held.servers)
            step = counted(progress, "round", 2 * options.rounds, 0.5, 0.98)
            asking = Plan.of(options, options.rate)
            pairs: list[tuple[Measurement, Measurement]] = []

            async def measure(side: Side, number: int) -> Measurement:
                await subject.until_standing(options.sessions + options.standbys)
                if side is beside:
                    answers, starts = await asyncio.gather(
                        bench.round(beside, number, asking),
                        bench.round(starting, number, replace(asking, rate=options.starts)),
                    )
                    pairs.append((answers, starts))
                else:
                    answers = await bench.round(side, number, asking)
                censuses.append(await asyncio.to_thread(census.take))
                return answers

            result.measurements, again = await rounds_of(
                (held, beside),
                measure,
                options.rounds,
                step,
                once=options.once,
            )
        for answers, starts in pairs:
            if any(answers is kept for kept in result.measurements):
                starts.round = answers.round
                result.measurements.append(starts)
        tell_again(result, again)
        if subject.servers:
            weigh(result, censuses)
        judge(result, options.starts)
        return result


def weigh(result: ScenarioResult, censuses: Sequence[Sequence[Usage]]) -> None:
    """Say what all server processes weighed at the end of each round, and hold the most."""
    totals = [sum(usage.memory_bytes for usage in census) / 2**30 for census in censuses]
    heaviest = censuses[totals.index(max(totals))]
    weights: Counter[str] = Counter()
    for usage in heaviest:
        weights["session actors" if usage.is_session_actor else usage.name] += usage.memory_bytes
    result.facts["PSS at its most, MB"] = {
        name: round(weight / 2**20, 1) for name, weight in weights.most_common()
    }
    result.facts["server processes at their most"] = max(map(len, censuses))
    result.judge(
        absolute(
            "memory of all server processes (PSS)", max(totals), MEMORY_GB, unit="GB", robust=True
        )
    )


def judge(result: ScenarioResult, starts: float) -> None:
    """Hold answers and starts against what was asked for."""
    held = [m for m in result.measurements if m.side in (HELD, BESIDE)]
    result.noise = [name for m in held if (name := disturbance(m)) is not None]
    silent = sum(m.missing + m.refused for m in held)
    result.judge(absolute("requests unanswered", silent, 0.0, unit="", robust=True))
    rounds = [m for m in result.measurements if m.side == STARTING]
    counts: Counter[str] = Counter()
    for measured in rounds:
        counts.update(measured.counts)
    due = sum(measured.sent for measured in rounds)
    reached = starts * counts["started"] / due if due else 0.0
    result.facts["sessions beside them"] = f"{due} due, " + ", ".join(
        f"{count} {what}" for what, count in counts.items()
    )
    result.judge(
        absolute(
            "sessions a second that started",
            reached,
            LEAST_STARTED * starts,
            unit="/s",
            direction="at least",
        )
    )
    name = "request p99 while sessions start and end"
    # Fast while less happens than is asked for says nothing about the target.
    if silent or reached < LEAST_STARTED * starts:
        began = f"{reached:.2f} of {starts:g} sessions a second began"
        result.leave(name, f"{silent} requests had no answer, {began}")
        return
    result.hold(name, BESIDE, "reply", 99.0, P99_MS)
