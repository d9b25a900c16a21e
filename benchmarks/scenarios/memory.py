"""What a session actor weighs: bare Ray actor, standby, sessions of two, four and eight."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import cast

import psutil

from benchmarks.quantities import count, sizes_or_none
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench
from benchmarks.sampler import proportional
from benchmarks.scenario import Progress, counted, parameters, refuse_target
from benchmarks.subject import Subject
from benchmarks.targets import Target, absolute, spread_of

OVER_BARE = 1.3


class Memory:
    """Proportional set size, as many alive at once as `--alive` says, one kind after another."""

    name = "memory"
    summary = "memory of a session actor, against a bare Ray actor"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--alive", type=count, default=8, help="actors of a kind at once")
        parser.add_argument("--rounds", type=count, default=2, help="of each kind")
        parser.add_argument(
            "--sizes", type=sizes_or_none, default="2,4,8", help="people in the sessions"
        )
        refuse_target(parser, "it weighs the server's processes")

    def short(self) -> list[str]:
        return ["--alive", "4", "--rounds", "1", "--sizes", "2"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        sizes = [int(size) for size in options.sizes.split(",")] if options.sizes else []
        found: dict[str, list[float]] = {}
        unshared: dict[str, list[float]] = {}

        def weigh(kind: str, processes: list[psutil.Process]) -> None:
            found.setdefault(kind, []).append(megabytes(processes))
            unshared.setdefault(kind, []).append(megabytes(processes, own))

        step = counted(progress, "kind", options.rounds * (2 + len(sizes)), 0.0, 1.0)
        for _ in range(options.rounds):
            async with Bench.open() as bench:
                bare = await bench.server("bare", "benchmarks.peers.bare", str(options.alive))
                pids = cast(list[int], bare.ready["pids"])
                weigh("bare actor", [psutil.Process(pid) for pid in pids])
            step()
            async with Bench.open() as bench:
                subject = await Subject.open(bench, None, standbys=options.alive)
                weigh("standby", subject.actors())
            step()
            for size in sizes:
                async with Bench.open() as bench:
                    subject = await Subject.open(bench, None, standbys=options.alive)
                    standing = {process.pid for process in subject.actors()}
                    await bench.side(
                        f"sessions of {size}",
                        "request",
                        subject.origin,
                        subject.servers,
                        sessions=options.alive,
                        size=size,
                    )
                    # The first standbys are the sessions now; those that replace them are younger.
                    weigh(f"session of {size}", [p for p in subject.actors() if p.pid in standing])
                step()
        tell(result, found, sizes)
        # PSS is less where more processes share the same pages, as beside a gateway and a ledger.
        result.facts["USS in MB, each"] = medians(unshared)
        return result


def tell(result: ScenarioResult, found: dict[str, list[float]], sizes: Sequence[int]) -> None:
    """Say what each kind weighs, in MB by round, and hold it against what is wanted."""
    middle = medians(found)
    result.facts["PSS in MB, each"] = middle
    ratios = [s / b for s, b in zip(found["standby"], found["bare actor"], strict=True)]
    result.judge(over_bare("idle session actor over a bare actor", middle, ratios))
    for size in sizes:
        kind = f"session of {size}"
        result.facts[f"{kind} over a standby, MB"] = round(middle[kind] - middle["standby"], 1)
    if 4 in sizes:
        hundred = 100 * middle["session of 4"] / 1024
        name = "100 sessions of four, actors alone"
        result.judge(absolute(name, hundred, 12.0, unit="GB"))


def over_bare(name: str, middle: dict[str, float], ratios: list[float]) -> Target:
    ratio = statistics.median(ratios)
    return Target(
        name=name,
        value=middle["standby"],
        unit="MB",
        reference="bare actor",
        reference_value=middle["bare actor"],
        ratio=ratio,
        target=OVER_BARE,
        direction="at most",
        met=ratio <= OVER_BARE,
        spread=spread_of(ratios),
        ratios=tuple(ratios),
    )


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {kind: round(statistics.median(values), 1) for kind, values in found.items()}


def megabytes(
    processes: list[psutil.Process], size_of: Callable[[psutil.Process], int] = proportional
) -> float:
    """Return the mean proportional set size, or another."""
    return statistics.mean(map(size_of, processes)) / 2**20


def own(process: psutil.Process) -> int:
    """Return the unique set size: what would be free without this process."""
    return int(process.memory_full_info().uss)
