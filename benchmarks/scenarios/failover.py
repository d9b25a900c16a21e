"""How long a call has no picture after its session actor was killed, in real browsers."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import psutil
from playwright.async_api import async_playwright

from benchmarks import machine
from benchmarks.browser import launch
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.quantities import count
from benchmarks.quiet import name_noise
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench
from benchmarks.sampler import Sampler
from benchmarks.scenario import Progress, counted, parameters, refuse_target
from benchmarks.standing_call import STEPS, Recovery, faults_of_newest, standing_call
from benchmarks.subject import Subject
from benchmarks.targets import absolute

STANDBYS = 2
KILLS_PER_CALL = 2
"""Below the limit of three takeovers in five minutes."""
P50_MS = 1_000.0
P99_MS = 2_000.0
AGAIN = "picture again"


class Failover:
    """`kill -9` of the session actor in mid-call, again and again."""

    name = "failover"
    summary = "kill -9 of a session actor to the next decoded picture, in Chromium"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--calls", type=count, default=25, help="calls, two kills in each")
        refuse_target(parser, "it kills a session actor")

    def short(self) -> list[str]:
        return ["--calls", "1"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        recoveries: list[Recovery] = []
        faults: list[str] = []
        async with Bench.open() as bench, async_playwright() as playwright:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, None, standbys=STANDBYS)
            api_key = key_of(subject)
            browser = await launch(playwright)
            step = counted(progress, "call", options.calls, 0.1, 0.95)
            for number in range(options.calls):
                used = Sampler(subject.family)
                foreign = machine.Foreign()
                foreign.begin()
                used.begin()
                seen: list[Recovery] = []
                async with standing_call(browser, subject.origin) as call:
                    for _ in range(KILLS_PER_CALL):
                        await call.flowing()
                        await subject.until_standing(STANDBYS + 1)
                        seen += await call.killed(holder_of(subject))
                    await call.flowing()
                    if await call.tenures() != KILLS_PER_CALL + 1:
                        faults.append("a takeover too many or too few")
                faults += await faults_of_newest(subject.origin, api_key)
                seconds, usage = used.end()
                result.measurements.append(
                    Measurement(
                        side="switchboard",
                        round=number,
                        histograms=histograms(seen),
                        lateness=Histogram(),
                        sent=KILLS_PER_CALL,
                        missing=0,
                        seconds=seconds,
                        foreign_share=foreign.share(),
                        usage=usage,
                    )
                )
                recoveries += seen
                step()
        result.steps, result.since = (*STEPS, AGAIN), "the kill"
        result.facts["milliseconds after the kill, medians"] = timeline(recoveries)
        name_noise(result)
        judge(result, faults)
        return result


def key_of(subject: Subject) -> str:
    """Read the account's API key where the server says it is."""
    return Path(str(subject.servers[0].ready["api_key_file"])).read_text().strip()


def holder_of(subject: Subject) -> psutil.Process:
    """Find the session actor that holds the call: the one with a media port."""
    holders = [process for process in subject.actors() if process.net_connections("udp")]
    if len(holders) != 1:
        raise RuntimeError(f"{len(holders)} session actors have a media port.")
    return holders[0]


def histograms(recoveries: list[Recovery]) -> dict[str, Histogram]:
    """Sort what was seen by step; the steps in seconds as everywhere."""
    found = {name: Histogram() for name in (*STEPS, AGAIN)}
    for each in recoveries:
        for name in STEPS:
            found[name].record(max(0.0, each.steps[name]) / 1e3)
        found[AGAIN].record(each.again / 1e3)
    return found


def timeline(recoveries: list[Recovery]) -> str:
    """Write the median of each step, in order; of two in the middle the lower, as in the table."""
    line = {"last picture": statistics.median_low(each.last for each in recoveries)}
    for name in STEPS:
        line[name] = statistics.median_low(each.steps[name] for each in recoveries)
    line[AGAIN] = statistics.median_low(each.again for each in recoveries)
    return ", ".join(f"{name} {value:.0f}" for name, value in line.items())


def judge(result: ScenarioResult, faults: list[str]) -> None:
    """Hold the gap against what is promised, and the records against the truth."""
    for percent, limit in ((50.0, P50_MS), (99.0, P99_MS)):
        name = f"kill -9 to picture again, p{percent:.0f}"
        result.hold(name, "switchboard", AGAIN, percent, limit)
    if faults:
        result.facts["faults of the records"] = ", ".join(sorted(set(faults)))
    result.judge(absolute("faults in the records", float(len(faults)), 0.0, unit="", robust=True))
