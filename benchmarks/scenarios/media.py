"""What forwarding one packet costs, beside Janus under the same packets.

Cost is the server process's time on a processor, as the scheduler counts it, less what it takes
when everybody is connected and silent, over the packets that came out.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import machine
from benchmarks.histogram import TooFew
from benchmarks.measurement import Measurement, percentile_of
from benchmarks.media.beside import PROFILE, MediaLoad, MediaReport
from benchmarks.media.source import Camera
from benchmarks.peers.janus import usual_peer
from benchmarks.process import Child
from benchmarks.quantities import amount, sizes, sizes_or_none
from benchmarks.quiet import Discarded, name_noise, rounds_of, tell_again
from benchmarks.result import Line, ScenarioResult, tell_beside
from benchmarks.rounds import Bench
from benchmarks.sampler import Sampler
from benchmarks.scenario import Progress, add_round_options, counted, parameters, refuse_target
from benchmarks.subject import DEFAULT_PEOPLE, Subject
from benchmarks.targets import Comparison, absolute
from broker.measures import Count

IDLE_SECONDS = 3.0
LEAST_FORWARDED = 0.99
"""Of what was due in a round: what a server does not forward costs it nothing and is never late."""
MOST_ADDED_MS = 1.0
BUSY_SHARE = 0.8
"""Below this share of a processor nothing may be lost."""


@dataclass(slots=True)
class Side:
    """One server with one size of session, connected and silent."""

    name: str
    server: psutil.Process
    load: MediaLoad
    idle: float = 0.0
    """Processors it keeps busy in silence."""
    rounds: list[Round] = field(default_factory=list)


@dataclass(slots=True)
class Round:
    """What one round of one side showed."""

    number: int
    report: MediaReport
    busy: float
    """Processors, idle included."""
    kernel_drops: int
    measurement: Measurement

    @property
    def sent_rate(self) -> float:
        return self.report.sent / self.report.seconds

    @property
    def forwarded_rate(self) -> float:
        return self.report.packets / self.report.seconds


class Media:
    """Switchboard's relay in a real session actor, and Janus's videoroom."""

    name = "media"
    summary = "processor time and delay of a forwarded packet, beside Janus"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(parser, rounds=5, seconds=5.0, rate=None)
        parser.add_argument(
            "--participants", type=sizes, default="4,6", help="sizes of the session"
        )
        parser.add_argument(
            "--loaded",
            type=sizes_or_none,
            default="16",
            help="a size that keeps the relay busy for half a core",
        )
        parser.add_argument(
            "--bitrate", type=amount, default=800_000, help="of each camera, bits a second"
        )
        parser.add_argument(
            "--peer",
            choices=("janus", "none"),
            default=usual_peer(),
            help="janus where it is installed, unless said otherwise",
        )
        refuse_target(parser, "it reads the counters of the server's processes")

    def short(self) -> list[str]:
        return ["--rounds", "2", "--seconds", "2", "--participants", "4", "--loaded", ""]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        sizes = [int(n) for n in f"{options.participants},{options.loaded}".split(",") if n]
        sides: list[Side] = []
        async with Bench.open() as bench:
            progress("starting the servers", 0.0)
            subject = await Subject.open(
                bench, None, standbys=len(sizes), people=max(DEFAULT_PEOPLE, *sizes)
            )
            janus = None
            if options.peer == "janus":
                janus = await bench.server("janus", "benchmarks.peers.janus")
            for size in sizes:
                progress(f"connecting {size} participants", 0.05)
                sides.append(await switchboard(bench, subject, size, Camera(options.bitrate)))
                if janus is not None:
                    sides.append(await beside_janus(bench, janus, size, Camera(options.bitrate)))
                sides.append(await bare_loop(bench, size, Camera(options.bitrate)))
            # New standbys have taken the places of those in use; their start must not disturb.
            await subject.until_standing(2 * len(sizes))
            for side in sides:
                progress(f"listening to the silence of {side.name}", 0.15)
                side.idle = await idle_share(side)
            before = await subject.counted(Count.DROPPED_BLOCKED)
            step = counted(progress, "round", options.rounds * len(sides), 0.2, 0.98)
            again = await run(sides, options, step)
            blocked = await subject.counted(Count.DROPPED_BLOCKED) - before
        compared_sizes = [int(n) for n in options.participants.split(",")]
        judge(result, sides, compared_sizes, blocked, again)
        tell_again(result, again)
        return result


async def run(
    sides: Sequence[Side], options: argparse.Namespace, on_measured: Callable[[], None]
) -> Discarded:
    """Give each side its rounds; returns those that were measured in vain."""
    tried: list[tuple[Side, Round]] = []

    async def one(side: Side, number: int) -> Measurement:
        tried.append((side, await measure(side, number, options)))
        return tried[-1][1].measurement

    kept, again = await rounds_of(sides, one, options.rounds, on_measured, once=options.once)
    for side, each in tried:
        if any(each.measurement is measurement for measurement in kept):
            each.number = each.measurement.round
            side.rounds.append(each)
    return again


async def switchboard(bench: Bench, subject: Subject, size: int, camera: Camera) -> Side:
    load = await MediaLoad.open(bench, subject.origin, sessions=1, size=size, camera=camera)
    holder = await asyncio.to_thread(holder_of, load.ports, subject.actors())
    return Side(f"switchboard {size}", holder, load)


async def beside_janus(bench: Bench, janus: Child, size: int, camera: Camera) -> Side:
    load = await MediaLoad.open(
        bench, str(janus.ready["address"]), sessions=1, size=size, camera=camera, kind="janus"
    )
    return Side(f"janus {size}", psutil.Process(int(str(janus.ready["pid"]))), load)


async def bare_loop(bench: Bench, size: int, camera: Camera) -> Side:
    """Start the floor: what shows the limit where the target is missed."""
    floor = await bench.server(
        "loop", "benchmarks.floors.forward", str(size), secrets.token_hex(8), PROFILE
    )
    load = await MediaLoad.open(
        bench, str(floor.ready["address"]), sessions=1, size=size, camera=camera, kind="loop"
    )
    return Side(f"bare loop {size}", psutil.Process(floor.pid), load)


def holder_of(ports: frozenset[int], processes: Iterable[psutil.Process]) -> psutil.Process:
    """Return the process that has one of these UDP ports.

    Raises:
        LookupError: none of them has.
    """
    for process in processes:
        with suppress(psutil.Error):
            if any(c.laddr.port in ports for c in process.net_connections("udp")):
                return process
    raise LookupError("No session actor has the port of the session's answer.")


async def idle_share(side: Side) -> float:
    sampler = Sampler.of([side.server])
    sampler.begin()
    await asyncio.sleep(IDLE_SECONDS)
    seconds, usage = sampler.end()
    return sum(u.processor_seconds for u in usage) / seconds


async def measure(side: Side, number: int, options: argparse.Namespace) -> Round:
    """Run one round of one side."""
    await side.load.begin()
    await asyncio.sleep(options.warm_up)
    server = Sampler.of([side.server])
    foreign = machine.Foreign()
    drops = dropped(side.load.ports)
    await side.load.mark()
    foreign.begin()
    server.begin()
    await asyncio.sleep(options.seconds)
    share = foreign.share()
    seconds, usage = server.end()
    report = await side.load.end()
    busy = sum(u.processor_seconds for u in usage) / seconds
    measurement = Measurement(
        side=side.name,
        round=number,
        histograms={"delay": report.delays},
        lateness=report.lateness,
        sent=report.sent,
        missing=0,
        seconds=seconds,
        foreign_share=share,
        usage=usage,
    )
    return Round(number, report, busy, dropped(side.load.ports) - drops, measurement)


def dropped(ports: frozenset[int]) -> int:
    """Count the datagrams that the kernel threw away at these local ports."""
    total = 0
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) in ports:
                    total += int(words[-1])
    return total


def cost(side: Side, one: Round) -> float:
    """Return microseconds of processor time for each packet that came out."""
    return 1e6 * (one.busy - side.idle) / max(one.forwarded_rate, 1e-9)


def unforwarded(sides: Iterable[Side]) -> list[str]:
    """Name the rounds in which a server forwarded less than it should have."""
    return [
        f"{side.name} forwarded {one.report.forwarded:.3f} of what was due, round {one.number + 1}"
        for side in sides
        for one in side.rounds
        if one.report.forwarded < LEAST_FORWARDED
    ]


def unlike(sides: Sequence[Side]) -> list[str]:
    """Name the SRTP profiles where sides have others: a cipher is a part of what a packet costs."""
    if len({profile for side in sides for profile in side.load.profiles}) <= 1:
        return []
    spoken = ", ".join(f"{side.name} {' and '.join(side.load.profiles)}" for side in sides)
    return [f"the SRTP profiles differ: {spoken}"]


def in_and_out(sides: Sequence[Side]) -> dict[str, float] | None:
    """Divide cost into what a packet that comes in takes, and one that goes out.

    From two sizes of session: busy = in * rate in + out * rate out.
    """
    if len(sides) < 2:
        return None
    rows = [
        (
            statistics.median(one.sent_rate for one in side.rounds),
            statistics.median(one.forwarded_rate for one in side.rounds),
            statistics.median(one.busy - side.idle for one in side.rounds),
        )
        for side in sides[:2]
    ]
    (in_a, out_a, busy_a), (in_b, out_b, busy_b) = rows
    determinant = in_a * out_b - in_b * out_a
    if determinant == 0:
        return None
    return {
        "in_us": 1e6 * (busy_a * out_b - busy_b * out_a) / determinant,
        "out_us": 1e6 * (in_a * busy_b - in_b * busy_a) / determinant,
    }


def against_load(sides: Sequence[Side]) -> list[Line]:
    """Return for each kind of server what a packet costs, against how many it forwards."""
    found: dict[str, list[tuple[float, float]]] = {}
    for side in sides:
        kind = side.name.rpartition(" ")[0]
        rate = statistics.median(one.forwarded_rate for one in side.rounds)
        spent = statistics.median(cost(side, one) for one in side.rounds)
        found.setdefault(kind, []).append((rate, spent))
    return [
        Line("packets forwarded a second", "processor time of each, us", kind, points)
        for kind, points in found.items()
    ]


def described(side: Side) -> dict[str, object]:
    """Say what a side showed, as it stands among the facts."""
    return {
        "srtp_profile": side.load.profiles,
        "idle_share": round(side.idle, 5),
        "busy_share": [round(one.busy, 4) for one in side.rounds],
        "cost_us": [round(cost(side, one), 2) for one in side.rounds],
        "packets_in_per_second": [round(one.sent_rate) for one in side.rounds],
        "packets_out_per_second": [round(one.forwarded_rate) for one in side.rounds],
        "lost": [one.report.absent for one in side.rounds],
        "dropped_by_the_kernel": [one.kernel_drops for one in side.rounds],
        "wrong": [one.report.wrong for one in side.rounds],
        "repaired": [one.report.repaired for one in side.rounds],
        "delay_ms": [
            {p: one.report.delays.summary().get(f"p{p}") for p in ("50", "99")}
            for one in side.rounds
            if one.report.delays.count
        ],
    }


def judge(
    result: ScenarioResult,
    sides: Sequence[Side],
    compared_sizes: Sequence[int],
    blocked: int,
    again: Discarded,
) -> None:
    """Compare what was measured with what design asks for.

    `blocked`: what the relays could not send at once, in all rounds, those measured `again`
    included.
    """
    result.measurements = [one.measurement for side in sides for one in side.rounds]
    name_noise(result)
    result.noise += [*unforwarded(sides), *unlike(sides)]
    result.facts = {side.name: described(side) for side in sides}
    result.facts["packets that our relays could not send"] = blocked
    result.lines = against_load(sides)
    ours = [side for side in sides if side.name.startswith("switchboard")]
    theirs = [side for side in sides if side.name.startswith("janus")]
    for kind, same in (("switchboard", ours), ("janus", theirs)):
        divided = in_and_out(same)
        if divided is not None:
            result.facts[f"{kind}, in and out"] = {k: round(v, 2) for k, v in divided.items()}
    for own, other in zip(ours, theirs, strict=False):
        compare(result, own, other, judged=int(own.name.split()[1]) in compared_sizes)
    rounds = [one for side in ours for one in side.rounds]
    calm = [one for one in rounds if one.busy < BUSY_SHARE]
    if calm:
        lost = sum(one.report.absent + one.kernel_drops for one in calm)
        if len(calm) == len(rounds) and not again:
            # In which round is not known; what was not sent is missed by who was to get it, too.
            lost = max(lost, blocked)
        # What a relay of ours did not forward no noise explains.
        what = "packets lost below 80 % of a core"
        failed = bool(unforwarded(ours))
        result.judge(absolute(what, lost, 0, unit="packets", robust=failed))


def compare(result: ScenarioResult, own: Side, other: Side, *, judged: bool) -> None:
    """Hold our side against the peer's, round by round."""
    costs = {
        (side.name, one.number): cost(side, one) for side in (own, other) for one in side.rounds
    }
    size = own.name.split()[1]

    def cost_of(measurement: Measurement) -> float:
        return costs[measurement.side, measurement.round]

    if not judged:
        if not result.noise:
            name = f"cost over the peer's, {size} participants"
            tell_beside(result, name, own.name, other.name, cost_of)
        return
    name = f"processor time of a forwarded packet, {size} participants"
    result.compare(Comparison(name, own.name, other.name, cost_of, 1 / 3, unit="us"))
    name = f"delay p99 beyond the peer's, {size} participants"
    p99 = percentile_of("delay", 99.0)
    try:
        added = statistics.median(
            p99(a.measurement) - p99(b.measurement)
            for a, b in zip(own.rounds, other.rounds, strict=True)
        )
    except TooFew as few:
        result.leave(name, few)
        return
    result.judge(absolute(name, added, MOST_ADDED_MS, unit="ms"))
