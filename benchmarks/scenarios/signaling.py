"""How long a request takes: widget, gateway, trunk, session actor, and back, or to everyone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.adapter import adapter_named, address_of, name_of
from benchmarks.loads.everyone import ROSTER_ENTRY_BYTES
from benchmarks.measurement import Measurement, percentile_of
from benchmarks.media.beside import add_media_options, hold_beside, media_beside, tell_other_beside
from benchmarks.quantities import count, people, rates_or_none
from benchmarks.quiet import disturbance, name_noise, tell_again
from benchmarks.result import Line, ScenarioResult, tell_beside
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.scenario import Progress, add_round_options, add_target_options, counted, parameters
from benchmarks.subject import Subject, target_of
from benchmarks.targets import Comparison

STANDBYS = 2
BESIDE, FLOOR_BESIDE = "switchboard beside media", "floor beside media"
"""The floor's shows what the same processors leave to anybody while media flow."""
EVERYONE, ROOM = "switchboard to everyone", "room"
EVENTS_EACH = 2.5
"""Cameras that one person turns off or on in a second: on twice in a second is the most."""


class Signaling:
    """Subject, floor and naive design under the same open-loop requests."""

    name = "signaling"
    summary = "request to session actor and its reply, or news to everyone, against floor and peers"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(
            parser, rounds=5, seconds=4.0, rate=200.0, rate_of="requests a second, all together"
        )
        parser.add_argument(
            "--sessions", type=count, default=4, help="whose participants ask in turn"
        )
        parser.add_argument("--size", type=people, default=2, help="participants of each session")
        add_target_options(parser)
        parser.add_argument("--without-naive", action="store_true", help="leave Ray calls out")
        parser.add_argument(
            "--peer", type=adapter_named, metavar="FILE", help="also another server, by its adapter"
        )
        parser.add_argument(
            "--loads",
            type=rates_or_none,
            default="50,200,800",
            help="requests a second, for the plot of cost",
        )
        add_media_options(parser)

    def short(self) -> list[str]:
        return ["--rounds", "3", "--seconds", "3"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        connections = options.sessions * options.size
        async with Bench.open() as bench:
            progress("starting the floor", 0.0)
            hop = await bench.server("hop", "benchmarks.floors.hop")
            echo = await bench.server("echo", "benchmarks.floors.echo", str(hop.ready["port"]))
            progress("starting Switchboard", 0.05)
            subject = await Subject.open(bench, target_of(options), standbys=STANDBYS)
            switchboard = await bench.side(
                "switchboard",
                "request",
                subject.origin,
                subject.servers,
                sessions=options.sessions,
                size=options.size,
            )
            media = await media_beside(bench, subject.origin, options, progress)
            if media is not None:
                bench.sides.append(
                    Side(BESIDE, switchboard.load, switchboard.servers, media.flowing)
                )
            await subject.until_standing(STANDBYS + options.sessions + options.media)
            floor = await bench.side(
                "floor",
                "echo",
                f"http://127.0.0.1:{echo.ready['port']}",
                [hop, echo],
                connections=connections,
            )
            if media is not None:
                bench.sides.append(Side(FLOOR_BESIDE, floor.load, floor.servers, media.flowing))
            if not options.without_naive:
                progress("starting the naive design", 0.15)
                naive = await bench.server("naive", "benchmarks.peers.naive")
                await bench.side(
                    "naive",
                    "echo",
                    f"http://127.0.0.1:{naive.ready['port']}",
                    [naive],
                    connections=connections,
                )
            if options.peer:
                progress("starting the peer", 0.18)
                peer = await bench.adapted(options.peer)
                await bench.side(
                    name_of(options.peer),
                    "echo",
                    address_of(peer),
                    [peer],
                    adapter=options.peer,
                    connections=connections,
                )
            loads = [float(load) for load in options.loads.split(",") if load]
            step = counted(progress, "round", options.rounds * len(bench.sides), 0.2, 0.85)
            plan = Plan.of(options, options.rate)
            result.measurements = await bench.run(plan, step)
            if loads:
                progress("measuring what a request costs under other loads", 0.85)
                sides = [side for side in bench.sides if side.name not in (BESIDE, FLOOR_BESIDE)]
                await against_load(bench, plan, sides, loads, result)
            progress("telling everyone", 0.9)
            # Its sessions' processes take those that are to come.
            await switchboard.load.close()
            result.measurements += await to_everyone(bench, subject, options)
            tell_again(result, bench.again)
            progress("ending what was started", 0.98)
        judge(result)
        if options.peer and not result.noise:
            for percent in (50.0, 99.0):
                tell_beside(
                    result,
                    f"signalling p{percent:.0f} over {name_of(options.peer)}'s",
                    "switchboard",
                    name_of(options.peer),
                    percentile_of("reply", percent),
                )
        return result


async def to_everyone(
    bench: Bench, subject: Subject, options: argparse.Namespace
) -> list[Measurement]:
    """Measure requests whose effect everyone in the session is told, against a room in memory."""
    room = await bench.server("room", "benchmarks.peers.room")
    alike = {"sessions": options.sessions, "size": options.size}
    sides = [
        await bench.side(EVERYONE, "everyone", subject.origin, subject.servers, **alike),
        await bench.side(
            ROOM,
            "room",
            f"http://127.0.0.1:{room.ready['port']}",
            [room],
            payload=ROSTER_ENTRY_BYTES * options.size,
            **alike,
        ),
    ]
    await subject.until_standing(STANDBYS + options.sessions)
    rate = EVENTS_EACH * options.sessions * options.size
    return await bench.run(Plan.of(options, rate), lambda: None, sides)


async def against_load(
    bench: Bench, plan: Plan, sides: Sequence[Side], loads: Sequence[float], result: ScenarioResult
) -> None:
    """Draw cost and latency against the rate of requests; one round each, nothing is judged.

    A round that was disturbed is left out, and named.
    """
    silence = await bench.silence(sides)
    for side in sides:
        points: dict[str, list[tuple[float, float]]] = {}
        for load in loads:
            at = replace(plan, rounds=1, rate=load)
            (one,) = await bench.run(at, lambda: None, [side])
            reply = one.histograms["reply"]
            if (why := disturbance(one)) is not None or one.missing or not reply.count:
                left_out = f"{side.name} at {load:g} requests a second is not drawn"
                result.facts[left_out] = why or f"{one.missing} answers never came"
                continue
            if one.usage and (spent := 1e3 * one.cost_ms(silence[side.name])) > 0:
                points.setdefault("processor time of each, us", []).append((load, spent))
            for percent in (50.0, 99.0):
                if reply.bears(percent):
                    panel = points.setdefault(f"p{percent:.0f}, ms", [])
                    panel.append((load, reply.percentile(percent)))
        result.lines += [
            Line("requests a second", panel, side.name, line) for panel, line in points.items()
        ]


def judge(result: ScenarioResult) -> None:
    """Compare what was measured with what design asks for."""
    result.apart = frozenset({BESIDE, FLOOR_BESIDE})
    name_noise(result)
    for percent, limit in ((50.0, 1.5), (99.0, 3.0)):
        result.compare(
            Comparison(
                f"signalling p{percent:.0f} over the floor",
                "switchboard",
                "floor",
                percentile_of("reply", percent),
                limit,
            )
        )
    if BESIDE in result.sides():
        name = "signalling p99 beside media over idle"
        hold_beside(result, name, BESIDE, "switchboard", "reply")
    if "naive" in result.sides():
        result.compare(
            Comparison(
                "signalling p50: times faster than Ray calls",
                "switchboard",
                "naive",
                percentile_of("reply", 50.0),
                8.0,
                direction="at least",
                inverse=True,
            )
        )
        if not result.noise:
            # What a gateway and an actor could reach that did nothing.
            tell_beside(
                result,
                "Ray calls over the floor, p50",
                "naive",
                "floor",
                percentile_of("reply", 50.0),
            )
    news = [m for m in result.measurements if m.side in (EVERYONE, ROOM)]
    if news and not result.noise:
        # `fanout` holds this against a target, with more people.
        for percent in (50.0, 99.0):
            tell_beside(
                result,
                f"until everyone knows, p{percent:.0f} over a room's in one process's memory",
                EVERYONE,
                ROOM,
                percentile_of("last", percent),
            )
    if FLOOR_BESIDE in result.sides():
        tell_other_beside(
            result,
            "the floor's p99 beside media over its own idle",
            FLOOR_BESIDE,
            "floor",
            "reply",
        )
