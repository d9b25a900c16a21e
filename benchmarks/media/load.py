"""The media load's process: `python -m benchmarks.media.load KIND ADDRESS OPTIONS`.

Connects everybody, says that it is ready, then reads lines: `{"do": "begin"}` sends media until
`{"do": "end"}`, whose answer is what was counted since `begin` or since the last `{"do": "mark"}`.
Ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import Protocol

import uvloop

from benchmarks.media.loop import Loop
from benchmarks.media.party import Media
from benchmarks.media.pump import CHECK_SECONDS, Pump, Report
from benchmarks.media.rooms import Rooms
from benchmarks.media.sessions import Sessions
from benchmarks.media.source import Camera
from benchmarks.scheduling import step_forward
from benchmarks.serving import say_ready


class Joined(Protocol):
    """Peers on some server."""

    media: Media

    async def open(self, sessions: int, size: int) -> None: ...

    async def close(self) -> None: ...


def joined(kind: str, address: str, profile: str, camera: Camera) -> Joined:
    match kind:
        case "switchboard":
            return Sessions(address, profile=profile, camera=camera)
        case "loop":
            return Loop(address, profile=profile, camera=camera)
        case "janus":
            return Rooms(address, profile=profile, camera=camera)
    raise ValueError(f"There is no server {kind}.")


def as_json(report: Report) -> dict[str, object]:
    """Turn a report into what the harness reads."""
    counts = report.counts
    return {
        "seconds": report.seconds,
        "sent": report.sent,
        **{name: getattr(counts, name) for name in counts.__slots__},
        "delays": report.delays.to_json(),
        "lateness": report.lateness.to_json(),
    }


async def main(kind: str, address: str, options: dict[str, object]) -> None:
    step_forward()
    camera = Camera(float(str(options["bitrate"])), int(str(options["frames"])))
    server = joined(kind, address, str(options["profile"]), camera)
    pump: Pump | None = None
    try:
        try:
            await connect(server, int(str(options["sessions"])), int(str(options["size"])))
        except Exception as error:
            say_ready(error=f"{type(error).__name__}: {error}")
            raise
        pump = server.media.pump()
        gc.freeze()
        profiles = sorted({peer.profile for peer in server.media.peers})
        say_ready(ports=sorted(server.media.ports), profiles=profiles)
        await obey(pump)
    finally:
        if pump is not None:
            await asyncio.to_thread(pump.close)
        await server.close()


async def connect(server: Joined, sessions: int, size: int) -> None:
    """Connect everybody, and keep consent (RFC 7675) of those who are until the pump does.

    The last may be connected long after the first: a relay closes who is silent for 30 s.
    """

    async def keep_up() -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for peer in server.media.peers:
                if peer.profile:
                    peer.send_check()

    keeping = asyncio.create_task(keep_up())
    try:
        await server.open(sessions, size)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def obey(pump: Pump) -> None:
    """Do what the harness says until it says no more."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        answer: dict[str, object] = {"done": True}
        match json.loads(line)["do"]:
            case "begin":
                await asyncio.to_thread(pump.begin)
            case "mark":
                await asyncio.to_thread(pump.mark)
            case "end":
                answer = as_json(await asyncio.to_thread(pump.end))
            case other:
                answer = {"error": f"There is no {other}."}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        uvloop.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
    except KeyboardInterrupt:
        sys.exit(0)
