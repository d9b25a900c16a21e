"""What a session actor weighs: bare Ray actor, standby, sessions of two, four and eight."""

from __future__ import annotations

import argparse
import statistics
from typing import cast

import psutil

from benchmarks.result import ScenarioResult, Target, absolute
from benchmarks.rounds import Bench
from benchmarks.sampler import proportional
from benchmarks.scenario import Progress, counted, parameters, refuse_target
from benchmarks.subject import Subject

OVER_BARE = 1.3


class Memory:
    """Proportional set size, as many alive at once as `--alive` says, one kind after another."""

    name = "memory"
    summary = "memory of a session actor, against a bare Ray actor"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--alive", type=int, default=8, help="actors of a kind at once")
        parser.add_argument("--rounds", type=int, default=2, help="of each kind")
        parser.add_argument("--sizes", default="2,4,8", help="people in the sessions")
        refuse_target(parser, "it weighs the server's processes")

    def short(self) -> list[str]:
        return ["--alive", "4", "--rounds", "1", "--sizes", "2"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        sizes = [int(size) for size in options.sizes.split(",")] if options.sizes else []
        found: dict[str, list[float]] = {}
        step = counted(progress, "kind", options.rounds * (2 + len(sizes)), 0.0, 1.0)
        for _ in range(options.rounds):
            async with Bench.open() as bench:
                bare = await bench.server("bare", "benchmarks.peers.bare", str(options.alive))
                pids = cast(list[int], bare.ready["pids"])
                found.setdefault("bare actor", []).append(
                    megabytes([psutil.Process(pid) for pid in pids])
                )
            step()
            async with Bench.open() as bench:
                subject = await Subject.open(bench, None, standbys=options.alive)
                found.setdefault("standby", []).append(megabytes(subject.actors()))
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
                    found.setdefault(f"session of {size}", []).append(
                        megabytes([p for p in subject.actors() if p.pid in standing])
                    )
                step()
        middle = {kind: round(statistics.median(values), 1) for kind, values in found.items()}
        result.facts["PSS in MB, each"] = middle
        ratios = [s / b for s, b in zip(found["standby"], found["bare actor"], strict=True)]
        result.judge(over_bare("idle session actor over a bare actor", middle, ratios))
        for size in sizes:
            kind = f"session of {size}"
            result.facts[f"{kind} over a standby, MB"] = round(middle[kind] - middle["standby"], 1)
        hundred = 100 * middle.get("session of 4", middle["standby"]) / 1024
        result.judge(absolute("100 sessions of four, actors alone", hundred, 12.0, unit="GB"))
        return result


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
        spread=(min(ratios), max(ratios)),
    )


def megabytes(processes: list[psutil.Process]) -> float:
    """Return the mean proportional set size."""
    return statistics.mean(proportional(process) for process in processes) / 2**20
