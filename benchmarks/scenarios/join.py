"""How long from *Accept* until the two see each other, in real browsers with their cameras open."""

from __future__ import annotations

import argparse

from playwright.async_api import Browser, async_playwright

from benchmarks import machine
from benchmarks.browser import launch
from benchmarks.histogram import Histogram
from benchmarks.joining import Direct, Pair, Widgets
from benchmarks.measurement import Measurement, percentile_of
from benchmarks.process import Child
from benchmarks.quantities import count
from benchmarks.quiet import name_noise, rounds_of, tell_again
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench
from benchmarks.sampler import Sampler
from benchmarks.scenario import Progress, add_once, counted, origin, parameters
from benchmarks.subject import Subject, Target
from benchmarks.targets import Comparison

STANDBYS = 2
P50_MS = 250.0


class Join:
    """The widgets against a direct call whose offer was made while it rang, call by call."""

    name = "join"
    summary = "accept to first decoded picture in Chromium, against a direct call"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rounds", type=count, default=4, help="rounds of each side")
        parser.add_argument("--calls", type=count, default=5, help="calls in a round of a side")
        add_once(parser)
        parser.add_argument(
            "--target",
            type=origin,
            metavar="URL",
            help="origin of a demo's gateway that is up already; starts none",
        )

    def short(self) -> list[str]:
        return ["--rounds", "1", "--calls", "3"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        async with Bench.open() as bench, async_playwright() as playwright:
            progress("starting Switchboard and the direct call's page", 0.0)
            floor = await bench.server("direct", "benchmarks.floors.direct")
            target = None if options.target is None else Target(options.target)
            subject = await Subject.open(bench, target, standbys=STANDBYS)
            browser = await launch(playwright)
            sides: list[tuple[Pair, list[Child]]] = [
                (
                    Widgets(subject.origin, lambda: subject.until_standing(STANDBYS + 1)),
                    subject.servers,
                ),
                (Direct(f"http://127.0.0.1:{floor.ready['port']}"), [floor]),
            ]
            progress("a first call of each", 0.1)
            for pair, _ in sides:
                await pair.call(browser)
            step = counted(progress, "round", options.rounds * len(sides), 0.2, 0.95)

            async def round_of(side: tuple[Pair, list[Child]], number: int) -> Measurement:
                return await measured(*side, browser, number, options.calls, subject)

            result.measurements, again = await rounds_of(
                sides, round_of, options.rounds, step, once=options.once
            )
        tell_again(result, again)
        name_noise(result)
        judge(result)
        return result


async def measured(
    pair: Pair, servers: list[Child], browser: Browser, number: int, calls: int, subject: Subject
) -> Measurement:
    """Make one round's calls of one side."""
    histograms = {name: Histogram() for name in ("first picture", "agent's", "connected")}
    used = Sampler(lambda: [process for server in servers for process in server.family()])
    foreign = machine.Foreign()
    foreign.begin()
    used.begin()
    for _ in range(calls):
        joined = await pair.call(browser)
        histograms["first picture"].record(joined.consumer / 1e3)
        histograms["agent's"].record(joined.agent / 1e3)
        histograms["connected"].record(joined.connected / 1e3)
        await subject.until_standing(STANDBYS)
    seconds, usage = used.end()
    return Measurement(
        side=pair.name,
        round=number,
        histograms=histograms,
        lateness=Histogram(),
        sent=calls,
        missing=0,
        seconds=seconds,
        foreign_share=0.0 if not subject.servers else foreign.share(),
        usage=usage,
    )


def judge(result: ScenarioResult) -> None:
    """Compare with the direct call, and with what people notice."""
    for name in ("first picture", "agent's"):
        whose = "consumer's" if name == "first picture" else name
        result.compare(
            Comparison(
                f"accept to the {whose} first decoded picture, p50",
                "switchboard",
                "direct",
                percentile_of(name, 50.0),
                1.0,
            )
        )
    name = "accept to first decoded picture, p50"
    result.hold(name, "switchboard", "first picture", 50.0, P50_MS)
