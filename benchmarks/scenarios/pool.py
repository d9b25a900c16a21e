"""Storms of session starts on a small pool: how long they wait, and what the simulation says."""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field, replace

from actors.ledger.policy import LedgerPolicy
from actors.placement import Place
from actors.pool import PoolPolicy
from benchmarks.histogram import enough
from benchmarks.loads.lifecycle import NO_CAPACITY
from benchmarks.machine import MAX_FOREIGN_SHARE, calm
from benchmarks.measurement import Measurement
from benchmarks.quantities import count, count_or_none
from benchmarks.quiet import MOST_ATTEMPTS, name_noise
from benchmarks.replay import Replay, Stretch, alone_seconds, shared_seconds
from benchmarks.result import Line, ScenarioResult
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.scenario import Progress, counted, parameters, refuse_target
from benchmarks.simulation import Outcome, Supply
from benchmarks.subject import Subject
from benchmarks.switchboard import MEDIA_SLOTS
from benchmarks.targets import absolute

LONE = 3
LONE_SECONDS = 5.0
"""From one lone opening to the next; the pool is at rest by then."""
STAY_SECONDS = 16.0
"""All that come in a storm are there until its end."""
LONGEST_WAIT = 3.0
"""That a storm is meant to cause, in seconds: beyond 5 it would be refused."""
TIMES = (2.0, 1.5, 3.0, 4.0)
"""As many openings a second as the pool can start."""
GUESSED_PER_S = 1.2
"""Starts a second, before any were seen."""
WITHIN = 20.0
"""Per cent."""
STARTS = "starts"


@dataclass(frozen=True, slots=True)
class Rush:
    """One storm of a run: when, how dense, and what was measured."""

    times: float
    begin: float
    end: float
    measurement: Measurement

    @property
    def stretch(self) -> Stretch:
        """From when to when it was, with what was started for it."""
        return self.begin, self.end


class Pool:
    """More sessions start than stand ready, in storms; each is predicted by what others took."""

    name = "pool"
    summary = "storms of starts on a small pool, and the simulation's word on them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--standbys", type=count_or_none, default=2, help="kept when nobody comes"
        )
        parser.add_argument("--nodes", type=count, default=3, help="of Ray, all on this machine")
        parser.add_argument("--storms", type=count, default=7, help="beside the first")
        parser.add_argument("--seed", type=int, default=0, help="of when the openings come")
        refuse_target(parser, "it looks at the pool of the server")

    def short(self) -> list[str]:
        return ["--storms", "1"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        async with Bench.open(shared=True) as bench:
            progress("starting Switchboard", 0.0)
            # Each session has a process of its own, or the second storm would find the first's.
            subject = await Subject.open(
                bench, None, standbys=options.standbys, reuse=0, nodes=options.nodes
            )
            side = await bench.side(
                STARTS,
                "lifecycle",
                subject.origin,
                subject.servers,
                pairs=16,
                stay_ms=round(STAY_SECONDS * 1e3),
            )
            storms = Storms(bench, subject, side, options.standbys)
            await subject.until_at_rest(options.standbys)
            await subject.watch()
            progress("starts that have the machine for themselves", 0.1)
            lone = await storms.lone()
            step = counted(progress, "storm", options.storms + 1, 0.2, 1.0)
            for number in range(options.storms + 1):
                await storms.come(TIMES[number % len(TIMES)], options.seed + number + 1)
                step()
            looks = await subject.watched()
        trace = sorted(each for m in storms.measured for each in m.trace)
        tell(result, Replay(trace, looks, STAY_SECONDS), lone, storms.rushes, options)
        return result


@dataclass(slots=True)
class Storms:
    """Lets them come, one after another, each over a pool at rest."""

    bench: Bench
    subject: Subject
    side: Side
    standbys: int
    rushes: list[Rush] = field(default_factory=list)
    measured: list[Measurement] = field(default_factory=list)
    """Everything that came, also what others disturbed."""

    async def lone(self) -> Measurement:
        """Let openings come of which each finds the pool at rest."""
        plan = Plan(1, LONE * LONE_SECONDS, 0.0, 1 / LONE_SECONDS, even=True)
        self.measured.append(await self.bench.round(self.side, 0, plan))
        await self.subject.until_at_rest(self.standbys)
        return self.measured[-1]

    async def come(self, times: float, seed: int) -> None:
        """Let a storm come, again while others use the machine; the last counts, and is named."""
        for _ in range(MOST_ATTEMPTS):
            await calm()
            begin = time.monotonic()
            # At the end the last opening waits for what is still to be started, less the storm.
            seconds = (LONGEST_WAIT + self.standbys / GUESSED_PER_S) / (times - 1)
            plan = Plan(1, seconds, 0.0, times * GUESSED_PER_S)
            measurement = await self.bench.round(self.side, seed, plan)
            await self.subject.until_at_rest(self.standbys)
            self.measured.append(measurement)
            rush = Rush(times, begin, time.monotonic(), measurement)
            if measurement.foreign_share <= MAX_FOREIGN_SHARE:
                break
        self.rushes.append(rush)


def tell(
    result: ScenarioResult,
    replay: Replay,
    lone: Measurement,
    rushes: list[Rush],
    options: argparse.Namespace,
) -> None:
    """Predict each storm from what a start took in the others, and hold it against that.

    One storm alone says little of what a start costs in another: on a machine that is shared it
    is a tenth more or less from one half minute to the next.
    """
    result.measurements = [lone, *(rush.measurement for rush in rushes)]
    # A storm is meant to be refused in part, and a moment is nothing beside the waits.
    name_noise(result, meant=["sent late", NO_CAPACITY])
    try:
        alone = alone_seconds(lone.trace, replay.looks)
    except ValueError as error:
        result.noise.append(str(error))
        return
    ready = [waited for _, waited in lone.trace if waited is not None]
    replay = replace(replay, answer_s=statistics.median(ready))
    supply = Supply(
        policy=PoolPolicy(target=options.standbys),
        places=tuple(Place(f"node {n}", "", MEDIA_SLOTS) for n in range(options.nodes)),
        start_seconds=(alone,),
        one_machine=True,
        patience_seconds=LedgerPolicy().capacity_wait_s,
    )
    result.facts["an opening that finds a standby, s"] = round(replay.answer_s, 3)
    result.facts["a start alone, s"] = round(alone, 2)
    measured = replay.measured()
    shared = shared_seconds(replay, [rush.stretch for rush in rushes], supply, alone)
    result.facts["one of two starts at work, s"] = round(shared, 2)
    whole = replay.predicted(replace(supply, start_seconds=(alone, shared)))
    result.lines = drawn(replay, measured, whole)
    bound = supply.patience_seconds
    waits, peaks = [], []
    together = Outcome(), Outcome()
    for number, rush in enumerate(rushes, 1):
        others = [each.stretch for each in rushes if each is not rush]
        shared = shared_seconds(replay, others, supply, alone)
        predicted = replay.predicted(replace(supply, start_seconds=(alone, shared)))
        truth, told = (replay.part(each, *rush.stretch) for each in (measured, predicted))
        result.facts[f"storm {number}, {rush.times:g} times what can be started"] = beside(
            truth, told, bound
        )
        peaks.append(off_in_number(told.peak_standbys, truth.peak_standbys))
        for whole, part in zip(together, (truth, told), strict=True):
            whole.waited += part.waited
        both = [min(outcome.longest_wait, bound) for outcome in (told, truth)]
        # Whose wait is shorter than a start may have waited for the rest of one: a moment decides.
        if alone <= both[1] and min(both) < bound:
            waits.append(off(*both))
    if not waits:
        result.noise.append("no storm with waits that can be compared")
        return
    judge_together(result, *together, alone, bound)
    result.facts["longest wait, each storm, off by %"] = [round(each) for each in waits]
    for which, value in (("median", statistics.median(waits)), ("worst", max(waits))):
        what = f"longest wait, {which} of {len(waits)} storms, off by"
        result.judge(absolute(what, value, WITHIN, unit="%"))
    what = f"worst of {len(peaks)} storms"
    result.judge(absolute(f"most standbys, {what}, off by", max(peaks), WITHIN, unit="%"))


def judge_together(
    result: ScenarioResult, measured: Outcome, predicted: Outcome, alone: float, bound: float
) -> None:
    """Hold the p95 of all storms' waits together against its prediction: one storm has too few."""
    if measured.openings < enough(95):
        result.facts["openings of all storms, too few for a p95"] = measured.openings
        return
    truth, told = (min(outcome.wait(95), bound) for outcome in (measured, predicted))
    result.facts["p95 of all storms' waits, s"] = f"{truth:.2f}, predicted {told:.2f}"
    if alone <= truth and min(truth, told) < bound:
        what = f"p95 of the {measured.openings} waits of all storms, off by"
        result.judge(absolute(what, off(told, truth), WITHIN, unit="%"))


def drawn(replay: Replay, measured: Outcome, predicted: Outcome) -> list[Line]:
    """Return what is drawn: waits and standbys over the time of the run."""
    came = [at - replay.began for at, _ in replay.trace]
    lines = []
    for name, outcome in (("measured", measured), ("predicted", predicted)):
        waits = [
            (at, waited)
            for at, waited in zip(came, outcome.waited, strict=True)
            if waited is not None
        ]
        standbys = [(at, float(count)) for at, count in outcome.standbys]
        lines.append(Line("seconds", "wait, s", name, waits, "points"))
        lines.append(Line("seconds", "standbys", name, standbys, "steps"))
    members = [(look.at - replay.began, float(look.members)) for look in replay.looks]
    return [*lines, Line("seconds", "session actors", "measured", members, "steps")]


def off(predicted: float, measured: float) -> float:
    """Return by how many per cent of what was measured a prediction is wrong."""
    return 100 * abs(predicted / measured - 1)


def off_in_number(predicted: int, measured: int) -> float:
    """Return the same of a number of standbys, of which one more or less is no error.

    It is the threshold of a rate: a start that took a moment longer decides about it.
    """
    return 0.0 if abs(predicted - measured) <= 1 else off(predicted, measured)


def beside(measured: Outcome, predicted: Outcome, bound: float) -> str:
    """Say both in one line; who is refused has waited until the bound."""

    def wait(outcome: Outcome) -> str:
        return f"{min(outcome.longest_wait, bound):.2f}"

    return (
        f"{measured.openings} openings; longest wait {wait(measured)} s, "
        f"predicted {wait(predicted)}; refused {measured.refused}, {predicted.refused}; "
        f"most standbys {measured.peak_standbys}, {predicted.peak_standbys}"
    )
