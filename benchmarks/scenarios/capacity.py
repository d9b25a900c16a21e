"""How many machines a contact centre needs: costs measured here, traffic simulated."""

from __future__ import annotations

import argparse
import math
import statistics
import time

from actors.placement import Place
from actors.pool import PoolPolicy
from benchmarks.appends import flush_ms
from benchmarks.appends import measured as appends
from benchmarks.fleet import BUSY_AT_MOST, Assumptions, Costs, Media, fleets
from benchmarks.histogram import enough
from benchmarks.media.source import Camera
from benchmarks.quantities import amount, amount_or_none, count, share
from benchmarks.quiet import name_noise
from benchmarks.result import ScenarioResult
from benchmarks.rounds import Bench, Plan
from benchmarks.sampler import processor_seconds
from benchmarks.scenario import Progress, parameters, refuse_target
from benchmarks.scenarios.media import cost, idle_share, measure, switchboard, unforwarded
from benchmarks.scenarios.memory import megabytes
from benchmarks.simulation import Outcome, Supply, Traffic, fewest_standbys
from benchmarks.subject import Subject

REQUESTS_S = 60.0
CAMERA = Camera(bitrate=1_200_000)
OFF = Camera(frames=0)
MEDIA_ROUNDS = 2
MEASURED = ("start", "memory", "request")
ASSUMED = ("requests and appends of a session", "reuse", "machine", "traffic")


class Capacity:
    """Measures what a session costs, then finds pool and machines for a traffic."""

    name = "capacity"
    summary = "machines and standbys for a traffic, from measured costs and a simulation"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--sessions-per-hour", type=amount, default=1200.0, help="in the busiest hour")
        add("--minutes", type=amount, default=8.0, help="mean length of a session")
        add("--size", type=amount, default=2.2, help="mean number of participants")
        add("--video-share", type=share, default=1.0, help="share of sessions with cameras on")
        add("--processors", type=count, default=8, help="of one machine")
        add("--memory-gb", type=amount, default=32.0, help="of one machine")
        add("--starts-at-once", type=count, default=2, help="actors that the pool starts at a time")
        add(
            "--waiting-share", type=share, default=0.01, help="share of calls that may have to wait"
        )
        add(
            "--packet-us",
            type=amount,
            help="processor time of a forwarded packet; measured unless given",
        )
        add("--sound-us", type=amount, help="the same where no camera is on; measured unless given")
        add(
            "--requests",
            type=amount_or_none,
            default=1.0,
            help="of one session's people together, a second",
        )
        add("--network-gigabits", type=amount, default=10.0, help="of one machine")
        add(
            "--started-share",
            type=share,
            default=0.2,
            help="share of sessions for which an actor starts",
        )
        add("--appends", type=amount_or_none, default=14.0, help="of one session to the journal")
        add("--ledger-appends", type=amount, help="of one ledger, a second; measured unless given")
        add("--hours", type=amount, default=20.0, help="that are simulated")
        add("--seed", type=int, default=1, help="of the simulated traffic")
        refuse_target(parser, "it reads the counters of the server's processes")

    def short(self) -> list[str]:
        return ["--hours", "4"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        async with Bench.open() as bench:
            costs = await measured(bench, result, options, progress)
        name_noise(result)
        progress("simulating", 0.7)
        plan(result, costs, options)
        scale(result, costs, options)
        return result


async def measured(
    bench: Bench, result: ScenarioResult, options: argparse.Namespace, progress: Progress
) -> Costs:
    """Measure on this machine what no option says."""
    facts = result.facts
    appends_s = options.ledger_appends
    if appends_s is None:
        progress("measuring what a ledger makes durable", 0.0)
        appends_s = await ledger(bench, result)
    progress("measuring what a session costs", 0.3)
    began = time.monotonic()
    alone = await Subject.open(bench, None, standbys=1)
    first = time.monotonic() - began
    side = await bench.side(
        "switchboard", "request", alone.origin, alone.servers, sessions=1, size=2
    )
    await alone.until_standing(2)
    actors = alone.actors()
    rounds = [await bench.round(side, n, Plan(1, 3.0, 1.0, REQUESTS_S)) for n in range(2)]
    result.measurements += rounds
    start_s = min(processor_seconds(actor) for actor in actors)
    memory_mb = megabytes(actors)
    progress("measuring what a packet costs", 0.5)
    size = max(2, round(options.size))
    packet_us, sound_us = options.packet_us, options.sound_us
    if packet_us is None:
        packet_us = await packet(bench, alone, result, size, CAMERA)
    if sound_us is None:
        sound_us = await packet(bench, alone, result, size, OFF)
    costs = Costs(
        start_processor_s=start_s,
        memory_mb=memory_mb,
        request_ms=statistics.median(
            m.processor_share * m.seconds * 1e3 / max(m.sent, 1) for m in rounds
        ),
        packet_us=packet_us,
        sound_us=sound_us,
        ledger_appends_s=appends_s,
    )
    facts["first start of everything, s"] = round(first, 1)
    facts["processor time of one start, s"] = round(costs.start_processor_s, 2)
    facts["memory of one session actor, MB"] = round(costs.memory_mb, 1)
    facts["processor time of one request, ms"] = round(costs.request_ms, 3)
    facts["processor time of one forwarded packet, us"] = round(costs.packet_us, 1)
    facts["the same where no camera is on, us"] = round(costs.sound_us, 1)
    facts["appends of one ledger, a second"] = round(costs.ledger_appends_s)
    return costs


async def packet(
    bench: Bench, subject: Subject, result: ScenarioResult, size: int, camera: Camera
) -> float:
    """Measure what forwarding a packet costs in a session of this size, in microseconds.

    The session is not in the way afterwards: it stays, and is silent.
    """
    there = len(subject.actors())
    side = await switchboard(bench, subject, size, camera)
    side.name += "" if camera.frames else ", sound only"
    await subject.until_standing(there + 1)
    side.idle = await idle_share(side)
    how = argparse.Namespace(warm_up=1.0, seconds=3.0)
    side.rounds = [await measure(side, number, how) for number in range(MEDIA_ROUNDS)]
    result.measurements += [each.measurement for each in side.rounds]
    result.noise += unforwarded([side])
    return statistics.median(cost(side, each) for each in side.rounds)


async def ledger(bench: Bench, result: ScenarioResult) -> float:
    """Measure what one ledger makes durable in a second: on PostgreSQL, where it is installed."""
    found = await appends(bench)
    for each in found:
        result.facts[f"ledger on {each.database}"] = each.line()
    result.facts["flush of this disk, ms"] = round(flush_ms(), 2)
    return found[-1].per_s


def plan(result: ScenarioResult, costs: Costs, options: argparse.Namespace) -> None:
    """Simulate and put the needs into the result's facts."""
    traffic = Traffic(options.sessions_per_hour, options.minutes)
    room = math.floor(options.memory_gb * 1024 * BUSY_AT_MOST / costs.memory_mb)
    erlangs = options.sessions_per_hour * options.minutes / 60
    supply = Supply(
        policy=PoolPolicy(starting_limit=options.starts_at_once, target_limit=0),
        places=(Place("every machine", "", slots=max(64, math.ceil(erlangs * 4))),),
        start_seconds=(costs.start_processor_s,),
    )
    try:
        standbys, outcome = fewest_standbys(
            traffic,
            supply,
            waiting_share=options.waiting_share,
            hours=options.hours,
            seed=options.seed,
        )
    except ValueError as error:
        result.facts["no pool is large enough"] = str(error)
        return
    say(result, outcome, standbys, traffic, costs)
    media = Media(options.size, options.video_share)
    per_session = media.processors(costs) + options.requests * costs.request_ms / 1e3
    starting = options.sessions_per_hour / 3600 * costs.start_processor_s
    by_processor = (outcome.peak_sessions * per_session + starting) / (
        options.processors * BUSY_AT_MOST
    )
    by_memory = (outcome.peak_sessions + standbys) / room
    result.facts["processors of one session"] = round(per_session, 3)
    result.facts["processors that starting takes"] = round(starting, 2)
    result.facts["machines by processors"] = round(by_processor, 2)
    result.facts["machines by memory"] = round(by_memory, 2)
    machines = math.ceil(max(by_processor, by_memory))
    result.facts["machines"] = machines
    result.facts["machines, when one of them may be lost"] = machines + 1
    reserve = math.ceil(outcome.peak_sessions / (machines + 1))
    result.facts["--reserve for the loss of one machine"] = reserve


def scale(result: ScenarioResult, costs: Costs, options: argparse.Namespace) -> None:
    """Say what a hundred sessions at once need, and what a million, into the result's facts."""
    assumed = Assumptions(
        minutes=options.minutes,
        media=Media(options.size, options.video_share),
        requests_s=options.requests,
        started_share=options.started_share,
        appends=options.appends,
        processors=options.processors,
        memory_gb=options.memory_gb,
        network_gigabits=options.network_gigabits,
    )
    for each in fleets(costs, assumed):
        result.facts[f"{each.sessions:,} sessions at once"] = each.line()
    given = {
        "packet": options.packet_us,
        "packet of sound": options.sound_us,
        "ledger's appends": options.ledger_appends,
    }
    measured_too = [name for name, value in given.items() if value is None]
    result.facts["measured"] = ", ".join([*MEASURED, *measured_too]) + ": here"
    assumed_too = [name for name in given if name not in measured_too]
    result.facts["assumed"] = ", ".join([*ASSUMED, *assumed_too]) + ": options"


def say(
    result: ScenarioResult, outcome: Outcome, standbys: int, traffic: Traffic, costs: Costs
) -> None:
    result.facts["standbys"] = standbys
    result.facts["calls that wait, share"] = round(outcome.waited_share, 4)
    result.facts["calls refused, share"] = round(outcome.refused / max(outcome.openings, 1), 5)
    if outcome.openings >= enough(99.9):
        result.facts["p99.9 of the wait, s"] = round(outcome.wait(99.9), 2)
    else:
        result.facts["longest wait, s"] = round(outcome.longest_wait, 2)
    result.facts["sessions at once, peak"] = outcome.peak_sessions
    result.facts["sessions at once, mean"] = round(
        traffic.sessions_per_hour * traffic.minutes / 60, 1
    )
