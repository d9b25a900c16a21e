"""How long until the last of N people has one event, in one session and in many at once."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping

from benchmarks.adapter import NAMED, address_of, name_of, peer_named
from benchmarks.loads.everyone import ROSTER_ENTRY_BYTES
from benchmarks.measurement import Measurement, percentile_of
from benchmarks.media.beside import add_media_options, hold_beside, media_beside, tell_other_beside
from benchmarks.peers.janus import usual_peer
from benchmarks.process import Child
from benchmarks.quantities import count_or_none, sizes
from benchmarks.quiet import name_noise, tell_again
from benchmarks.result import Line, ScenarioResult, tell_beside
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.scenario import Progress, add_round_options, add_target_options, counted, parameters
from benchmarks.subject import DEFAULT_PEOPLE, Subject, target_of
from benchmarks.targets import Comparison

STANDBYS = 2
MOST_OVER_ROOM = 2.0
"""What the last receiver's p99 may be of the room's (design §8)."""
BARE = "bare processes"
"""Gateway and actors without their meaning: the limit, where the target is missed."""
BESIDE, ROOM_BESIDE = "switchboard beside media", "room beside media"
"""The room's shows what the same processors leave to anybody while media flow."""


class Fanout:
    """Sessions against rooms in one process's memory, at the same sizes and rates."""

    name = "fanout"
    summary = "one event to everyone in a session, against a room in one process's memory"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(
            # Of so many events a p99 can be told, and of four people none sends more a second.
            parser,
            rounds=4,
            seconds=15.0,
            rate=10.0,
            rate_of="events a second in each session",
        )
        parser.add_argument(
            "--sizes",
            type=sizes,
            default="4,16,50",
            help="people in one session; one point for each number",
        )
        parser.add_argument(
            "--sessions",
            type=count_or_none,
            default=0,
            help="instead: this many sessions of four at once",
        )
        add_target_options(parser)
        parser.add_argument(
            "--peer",
            type=peer_named,
            default=usual_peer(),
            help="janus (where it is installed, and then unless said otherwise), none, or another "
            "server, by its adapter's FILE",
        )
        parser.add_argument(
            "--bare",
            action="store_true",
            help="also the same reads and writes without a meaning, a process for each session",
        )
        add_media_options(parser)

    def short(self) -> list[str]:
        return ["--rounds", "2", "--seconds", "4", "--rate", "40", "--sizes", "16,24"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        if options.sessions:
            points = [(options.sessions, 4)]
        else:
            points = [(1, int(size)) for size in options.sizes.split(",")]
        # Of two processors one is not enough for many sessions: see `crowd`.
        async with Bench.open(shared=bool(options.sessions)) as bench:
            # First, so that one who has no Janus learns it at once.
            progress("starting the peer", 0.0)
            peer = await peer_of(bench, options.peer)
            progress("starting Switchboard and the room", 0.0)
            subject = await Subject.open(
                bench,
                target_of(options),
                standbys=STANDBYS,
                people=max(DEFAULT_PEOPLE, *(size for _, size in points)),
            )
            room = await bench.server("room", "benchmarks.peers.room")
            bare: Child | None = None
            if options.bare:
                bare = await bench.server(BARE, "benchmarks.floors.spread", str(points[0][0]))
            silence: dict[str, float] = {}
            beside = await media_beside(bench, subject.origin, options, progress)
            sides_each = 2 + 2 * bool(options.media) + options.bare + (peer is not None)
            step = counted(progress, "round", options.rounds * sides_each * len(points), 0.1, 0.95)
            for sessions, size in points:
                alike = {"sessions": sessions, "size": size}
                name = side_name("switchboard", sessions, size)
                sides = [
                    await bench.side(name, "everyone", subject.origin, subject.servers, **alike)
                ]
                for who, server in (("room", room), (BARE, bare)):
                    if server is not None:
                        sides.append(await as_room(bench, who, server, **alike))
                if peer is not None:
                    sides.append(await beside_peer(bench, options.peer, peer, sessions, size))
                loads = [side.load for side in sides]
                if beside is not None:
                    for who, side in zip((BESIDE, ROOM_BESIDE), tuple(sides), strict=False):
                        name = side_name(who, sessions, size)
                        sides.append(Side(name, side.load, side.servers, beside.flowing))
                await subject.until_standing(STANDBYS + sessions + options.media)
                plan = Plan.of(options, options.rate * sessions)
                silence |= await bench.silence(sides)
                result.measurements += await bench.run(plan, step, sides)
                for load in loads:
                    await load.close()
        tell_again(result, bench.again)
        result.apart = frozenset(
            side_name(who, *point) for who in (BESIDE, ROOM_BESIDE) for point in points
        )
        name_noise(result)
        for sessions, size in points:
            result.compare(
                Comparison(
                    f"last of {size} in {sessions} session(s), p99",
                    side_name("switchboard", sessions, size),
                    side_name("room", sessions, size),
                    percentile_of("last", 99.0),
                    MOST_OVER_ROOM,
                )
            )
            if options.media:
                judge_beside(result, sessions, size)
        if options.media:
            for sessions, size in points:
                tell_other_beside(
                    result,
                    f"the room's p99 to the last of {size}, beside media over its own idle",
                    side_name(ROOM_BESIDE, sessions, size),
                    side_name("room", sessions, size),
                    "last",
                )
        if options.bare and not result.noise:
            for sessions, size in points:
                tell_beside(
                    result,
                    f"last of {size} in {sessions} session(s), p99: {BARE} over the room",
                    side_name(BARE, sessions, size),
                    side_name("room", sessions, size),
                    percentile_of("last", 99.0),
                )
        result.lines = costs(result.measurements, silence)
        if options.peer != "none" and not result.noise:
            # No target names a peer, and Janus sends less.
            for sessions, size in points:
                tell_beside(
                    result,
                    f"last of {size} in {sessions} session(s), p99 over {name_of(options.peer)}'s",
                    side_name("switchboard", sessions, size),
                    side_name(name_of(options.peer), sessions, size),
                    percentile_of("last", 99.0),
                )
        return result


async def peer_of(bench: Bench, named: str) -> Child | None:
    """Start the peer that is asked for."""
    match named:
        case "none":
            return None
        case "janus":
            return await bench.server("janus", "benchmarks.peers.janus")
        case file:
            return await bench.adapted(file)


async def beside_peer(bench: Bench, named: str, peer: Child, sessions: int, size: int) -> Side:
    """Connect everybody to the peer."""
    if named in NAMED:
        name = side_name(name_of(named), sessions, size)
        return await bench.side(
            name, "videoroom", address_of(peer), [peer], sessions=sessions, size=size
        )
    return await as_room(bench, name_of(named), peer, sessions, size, adapter=named)


async def as_room(
    bench: Bench, who: str, server: Child, sessions: int, size: int, *, adapter: str | None = None
) -> Side:
    """Connect everybody to a server that is asked as the room is, and sends as much as ours."""
    return await bench.side(
        side_name(who, sessions, size),
        "room",
        address_of(server),
        [server],
        adapter=adapter,
        sessions=sessions,
        size=size,
        payload=ROSTER_ENTRY_BYTES * size,
    )


def costs(measurements: Iterable[Measurement], silence: Mapping[str, float]) -> list[Line]:
    """Return for each kind of server the processor time of one event, against its receivers."""
    spent: dict[str, list[float]] = {}
    for measured in measurements:
        # Beside media most of the time is theirs.
        if measured.usage and not measured.side.startswith((BESIDE, ROOM_BESIDE)):
            spent.setdefault(measured.side, []).append(measured.cost_ms(silence[measured.side]))
    # A silence that was busier than the rounds was none: something still started in it.
    spent = {side: values for side, values in spent.items() if min(values) > 0}
    lines: dict[str, list[tuple[float, float]]] = {}
    for side, values in spent.items():
        who, _, point = side.rpartition(" ")
        size = float(point.split("x")[1])
        lines.setdefault(who, []).append((size, statistics.median(values)))
    return [
        Line("people who are told", "processor time of one event, ms", who, points)
        for who, points in lines.items()
    ]


def judge_beside(result: ScenarioResult, sessions: int, size: int) -> None:
    """Compare a point beside media with the same point without."""
    idle = side_name("switchboard", sessions, size)
    beside = side_name(BESIDE, sessions, size)
    name = f"last of {size} in {sessions} session(s), p99, beside media over idle"
    hold_beside(result, name, beside, idle, "last", f", {sessions}x{size}")


def side_name(who: str, sessions: int, size: int) -> str:
    return f"{who} {sessions}x{size}"
