"""What a call is worth on a bad line: one subscriber's downlink narrowed and freed, in Chromium."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from playwright.async_api import async_playwright

from benchmarks import machine
from benchmarks.browser import launch
from benchmarks.congested_call import CongestedCall, Sample, congested
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.quantities import amount, amount_or_none, count, share
from benchmarks.quiet import name_noise
from benchmarks.result import Line, ScenarioResult
from benchmarks.rounds import Bench
from benchmarks.sampler import Sampler
from benchmarks.scenario import Progress, counted, parameters, refuse_target
from benchmarks.scenarios.failover import key_of
from benchmarks.subject import Subject
from benchmarks.targets import absolute

STANDBYS = 2
CONCEALED = 0.03
DROP_SECONDS = 3.0
RETURN_SECONDS = 10.0
BESIDE = 0.1
"""Of the guest's pictures, those that may be missing while the consumer's line is bad."""
CONCEALED_BESIDE = 0.01
"""Of what the guest hears meanwhile, what may be made up: a third of what the consumer may miss."""
NEVER = 99.0
"""Stands for what did not happen while it was watched, in seconds."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A good line, a bad one, a good one again, as the consumer and the guest beside saw it."""

    good: list[Sample]
    bad: list[Sample]
    back: list[Sample]
    beside_good: list[Sample]
    beside_bad: list[Sample]

    @property
    def height(self) -> int:
        """The picture's height on the good line."""
        return self.good[-1].height

    @property
    def dropped_after(self) -> float:
        """Seconds from the line's turning bad to a smaller picture; a still one is none."""
        return _until(self.bad, lambda each: 0 < each.height < self.height)

    @property
    def returned_after(self) -> float:
        """Seconds from the line's turning good to the size from before."""
        return _until(self.back, lambda each: each.height >= self.height)

    @property
    def concealed(self) -> float:
        """The fraction of what was heard on the bad line that was made up."""
        return concealed_in(self.bad)

    @property
    def concealed_beside(self) -> float:
        """The fraction of what the guest heard meanwhile that was made up."""
        return concealed_in(self.beside_bad)

    @property
    def missing_beside(self) -> float:
        """The fraction of the guest's pictures that was missing meanwhile."""
        return max(0.0, 1 - rate_of(self.beside_bad) / max(rate_of(self.beside_good), 1e-9))


def _until(samples: Sequence[Sample], holds: Callable[[Sample], bool]) -> float:
    return next((each.at - samples[0].at for each in samples if holds(each)), NEVER)


def concealed_in(samples: Sequence[Sample]) -> float:
    """Return the fraction of samples concealed between the first and the last, silence apart."""
    first, last = samples[0], samples[-1]
    heard = last.samples - first.samples
    made_up = (last.concealed - last.silent) - (first.concealed - first.silent)
    return made_up / heard if heard > 0 else 1.0


def rate_of(samples: Sequence[Sample]) -> float:
    """Return pictures decoded a second."""
    return (samples[-1].frames - samples[0].frames) / max(samples[-1].at - samples[0].at, 1e-9)


class Congestion:
    """500 kbit/s, 5 % lost, 100 ms: what one of three hears and sees, what others notice."""

    name = "congestion"
    summary = "a bad downlink of one of three, in Chromium: sound made up, layers down and back"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rounds", type=count, default=3, help="times the line turns bad")
        parser.add_argument(
            "--seconds", type=amount, default=12.0, help="of each state of the line"
        )
        parser.add_argument(
            "--bitrate", type=amount, default=500_000, help="of the line, bits a second"
        )
        parser.add_argument("--loss", type=share, default=0.05, help="share of packets")
        parser.add_argument("--delay", type=amount_or_none, default=0.1, help="seconds, one way")
        refuse_target(parser, "it reads its API key")

    def short(self) -> list[str]:
        return ["--rounds", "1"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        episodes: list[Episode] = []
        async with Bench.open() as bench, async_playwright() as playwright:
            progress("starting Switchboard", 0.0)
            subject = await Subject.open(bench, None, standbys=STANDBYS)
            browser = await launch(playwright)
            step = counted(progress, "bad line", options.rounds, 0.15, 0.98)
            async with congested(browser, subject.origin, key_of(subject)) as call:
                for number in range(options.rounds):
                    foreign = machine.Foreign()
                    used = Sampler(subject.family)
                    foreign.begin()
                    used.begin()
                    episodes.append(await episode(call, number, options))
                    seconds, usage = used.end()
                    result.measurements.append(
                        Measurement(
                            side="switchboard",
                            round=number,
                            histograms={},
                            lateness=Histogram(),
                            sent=1,
                            missing=0,
                            seconds=seconds,
                            foreign_share=foreign.share(),
                            usage=usage,
                        )
                    )
                    step()
        name_noise(result)
        judge(result, episodes)
        return result


async def episode(call: CongestedCall, number: int, options: argparse.Namespace) -> Episode:
    """Watch the line good, bad and good again."""
    call.clear()
    await call.settled()
    good, beside_good = await call.watch(options.seconds)
    call.shape(options.bitrate, loss=options.loss, delay=options.delay, seed=number + 1)
    bad, beside_bad = await call.watch(options.seconds)
    call.clear()
    back, _ = await call.watch(options.seconds)
    return Episode(good, bad, back, beside_good, beside_bad)


def judge(result: ScenarioResult, episodes: Sequence[Episode]) -> None:
    """Hold the worst round against what design asks for; of what is beside it, the median."""
    held = {
        "audio concealed on the bad line": (
            max(each.concealed for each in episodes),
            CONCEALED,
            "",
        ),
        "seconds to a smaller picture": (
            max(each.dropped_after for each in episodes),
            DROP_SECONDS,
            "s",
        ),
        "seconds back to the former picture": (
            max(each.returned_after for each in episodes),
            RETURN_SECONDS,
            "s",
        ),
        "pictures missing beside": (
            statistics.median(each.missing_beside for each in episodes),
            BESIDE,
            "",
        ),
        "audio concealed beside": (
            statistics.median(each.concealed_beside for each in episodes),
            CONCEALED_BESIDE,
            "",
        ),
    }
    for name, (value, limit, unit) in held.items():
        result.judge(absolute(name, round(value, 4), limit, unit=unit))
    result.facts["rounds"] = [
        {
            "height": each.height,
            "concealed": round(each.concealed, 4),
            "concealed on the good line": round(concealed_in(each.good), 4),
            "concealed beside": round(each.concealed_beside, 4),
            "smaller after s": round(each.dropped_after, 2),
            "back after s": round(each.returned_after, 2),
            "pictures a second, good": round(rate_of(each.good), 1),
            "pictures a second, bad": round(rate_of(each.bad), 1),
            "pictures a second, beside": round(rate_of(each.beside_bad), 1),
            "seconds frozen, bad": round(each.bad[-1].frozen - each.bad[0].frozen, 2),
        }
        for each in episodes
    ]
    begin = episodes[0].good[0].at
    result.lines = [
        Line(
            over="seconds",
            panel="height of the picture",
            name=who,
            points=[(each.at - begin, float(each.height)) for each in samples],
        )
        for who, samples in (
            ("behind the bad line", [s for e in episodes for s in (*e.good, *e.bad, *e.back)]),
            ("beside", [s for e in episodes for s in (*e.beside_good, *e.beside_bad)]),
        )
    ]
