"""How long until the last of N people has one event, in one session and in many at once."""

from __future__ import annotations

import argparse

from benchmarks.media.beside import SIZE, MediaLoad, add_media_options, media_share
from benchmarks.quiet import noise_of
from benchmarks.result import MEASURED_AGAIN, ScenarioResult, compared, percentile_of
from benchmarks.rounds import Bench, Plan, Side
from benchmarks.scenario import Progress, add_round_options, counted, parameters
from benchmarks.subject import DEFAULT_PEOPLE, Subject

STANDBYS = 2
BESIDE = "switchboard beside media"
ROSTER_ENTRY_BYTES = 330
"""About what one person's entry takes in `roster.changed`, so that the peer sends as much."""


class Fanout:
    """Sessions against rooms in one process's memory, at the same sizes and rates."""

    name = "fanout"
    summary = "one event to everyone in a session, against a room in one process's memory"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        add_round_options(parser, rounds=4, seconds=4.0, rate=10.0)
        parser.add_argument(
            "--sizes", default="4,16,50", help="people in one session; one point for each number"
        )
        parser.add_argument(
            "--sessions", type=int, default=0, help="instead: this many sessions of four at once"
        )
        parser.add_argument("--target", help="origin of a gateway that is up already")
        add_media_options(parser)

    def short(self) -> list[str]:
        return ["--rounds", "2", "--seconds", "2", "--sizes", "4,16"]

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        result = ScenarioResult(self.name, self.summary, parameters(options))
        if options.sessions:
            points = [(options.sessions, 4)]
        else:
            points = [(1, int(size)) for size in options.sizes.split(",")]
        async with Bench.open() as bench:
            progress("starting Switchboard and the room", 0.0)
            subject = await Subject.open(
                bench,
                options.target,
                standbys=STANDBYS,
                people=max(DEFAULT_PEOPLE, *(size for _, size in points)),
            )
            room = await bench.server("room", "benchmarks.peers.room")
            room_at = f"http://127.0.0.1:{room.ready['port']}"
            beside: MediaLoad | None = None
            if options.media:
                progress("connecting sessions with media", 0.05)
                beside = await MediaLoad.open(
                    bench,
                    subject.origin,
                    sessions=options.media,
                    size=SIZE,
                    bitrate=options.media_bitrate,
                )
            sides_each = 2 + bool(options.media)
            step = counted(progress, "round", options.rounds * sides_each * len(points), 0.1, 0.95)
            for sessions, size in points:
                sides: list[Side] = [
                    await bench.side(
                        side_name("switchboard", sessions, size),
                        "everyone",
                        subject.origin,
                        subject.servers,
                        sessions=sessions,
                        size=size,
                    ),
                    await bench.side(
                        side_name("room", sessions, size),
                        "room",
                        room_at,
                        [room],
                        sessions=sessions,
                        size=size,
                        payload=ROSTER_ENTRY_BYTES * size,
                    ),
                ]
                if beside is not None:
                    name = side_name(BESIDE, sessions, size)
                    sides.append(Side(name, sides[0].load, sides[0].servers, beside.flowing))
                await subject.until_standing(STANDBYS + sessions + options.media)
                plan = Plan(
                    options.rounds,
                    options.seconds,
                    options.warm_up,
                    options.rate * sessions,
                    options.once,
                )
                result.measurements += await bench.run(plan, step, sides)
                for side in sides[:2]:
                    await side.load.close()
        result.facts[MEASURED_AGAIN] = bench.again
        result.noise = noise_of(result.measurements)
        for sessions, size in points:
            result.judge(
                compared(
                    f"last of {size} in {sessions} session(s), p99",
                    result.measurements,
                    side_name("switchboard", sessions, size),
                    side_name("room", sessions, size),
                    percentile_of("last", 99.0),
                    2.0,
                )
            )
            if options.media:
                judge_beside(result, sessions, size)
        return result


def judge_beside(result: ScenarioResult, sessions: int, size: int) -> None:
    """Compare a point beside media with the same point without."""
    idle = side_name("switchboard", sessions, size)
    beside = side_name(BESIDE, sessions, size)
    share = media_share(result.measurements, beside, idle)
    result.facts[f"processors that the media took, {sessions}x{size}"] = round(share, 2)
    result.judge(
        compared(
            f"last of {size} in {sessions} session(s), p99, beside media over idle",
            result.measurements,
            beside,
            idle,
            percentile_of("last", 99.0),
            3.0,
        )
    )


def side_name(who: str, sessions: int, size: int) -> str:
    return f"{who} {sessions}x{size}"
