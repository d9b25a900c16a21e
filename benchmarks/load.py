"""The load process: `python -m benchmarks.load KIND ADDRESS OPTIONS [ADAPTER]`.

Opens its connections, says that it is ready, and then runs one round for each line it reads:
`{"rate": per_second, "seconds": s, "warm_up": s, "seed": n, "even": false}`. Answers
with one line of histograms. Ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Protocol, runtime_checkable

import orjson
import uvloop

from benchmarks.adapter import maker_in
from benchmarks.arrivals import Arrivals, Trace
from benchmarks.histogram import Histogram
from benchmarks.loads.echo import Echo
from benchmarks.loads.everyone import Everyone, Room
from benchmarks.loads.lifecycle import Lifecycle
from benchmarks.loads.request import Request
from benchmarks.loads.storm import Storm
from benchmarks.loads.videoroom import Videoroom
from benchmarks.participant import SILENCE
from benchmarks.scheduling import run_at_once, step_forward
from benchmarks.serving import say_ready

SETTLE_SECONDS = 8.0
"""How long a round waits for the last answers; what is missing then is counted. A ledger lets a
start wait for 5 s before it is refused."""
SETTLE_STEP = 0.01


class Load(Protocol):
    """What a kind of load can do."""

    async def open(self) -> None:
        """Make all connections."""
        ...

    def begin(self, measured_from: float) -> None:
        """Start a round: count nothing that was to be sent earlier than this."""
        ...

    def send(self, number: int, intended: float) -> None:
        """Send one message. No number comes twice: a late answer is never another's."""
        ...

    def missing(self) -> int:
        """Count the answers that have not come."""
        ...

    def histograms(self) -> dict[str, Histogram]:
        """Return what the round measured."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A load that counts more than latencies."""

    def counts(self) -> dict[str, int]:
        """Return what the round counted."""
        ...


@runtime_checkable
class Traced(Protocol):
    """A load that says what became of each thing it sent."""

    def trace(self) -> Trace:
        """Return when each was due and how long it waited."""
        ...


def load_of(kind: str, address: str, options: dict[str, int], adapter: str | None = None) -> Load:
    """Make the load of a kind, or the one that an adapter has in its place."""
    make = None if adapter is None else maker_in(adapter)
    if make is not None:
        return make(address, **options)
    match kind:
        case "echo":
            return Echo(address, **options)
        case "request":
            return Request(address, **options)
        case "everyone":
            return Everyone(address, **options)
        case "lifecycle":
            return Lifecycle(address, **options)
        case "storm":
            return Storm(address)
        case "room":
            return Room(address, **options)
        case "videoroom":
            return Videoroom(address, **options)
    raise ValueError(f"There is no load {kind}.")


async def round_of(load: Load, plan: dict[str, float], first: int) -> tuple[int, dict[str, object]]:
    """Run one round, whose messages are numbered from `first`; returns the next, and the report."""
    warm_up = plan["warm_up"]
    arrivals = Arrivals(
        plan["rate"], warm_up + plan["seconds"], int(plan["seed"]), even=bool(plan["even"])
    )
    gc.collect()
    gc.disable()
    try:
        load.begin(time.monotonic() + warm_up)
        sent = await arrivals.run(lambda number, intended: load.send(first + number, intended))
        for _ in range(round(SETTLE_SECONDS / SETTLE_STEP)):
            if not load.missing():
                break
            await asyncio.sleep(SETTLE_STEP)
    finally:
        gc.enable()
    return first + sent, {
        "sent": sent,
        "missing": load.missing(),
        "counts": load.counts() if isinstance(load, Counting) else {},
        "trace": load.trace() if isinstance(load, Traced) else [],
        "lateness": arrivals.lateness.to_json(),
        "histograms": {name: h.to_json() for name, h in load.histograms().items()},
    }


async def main(
    kind: str, address: str, options: dict[str, int], adapter: str | None = None
) -> None:
    step_forward()
    run_at_once()
    load = load_of(kind, address, options, adapter)
    try:
        await load.open()
    except Exception as error:
        say_ready(error=f"{type(error).__name__}: {error}")
        await load.close()
        if isinstance(error, SILENCE):
            # Whoever named a server that is not there is told so, and needs no more.
            sys.exit(1)
        raise
    gc.freeze()
    say_ready()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        number = 0
        while line := await reader.readline():
            number, report = await round_of(load, orjson.loads(line), number)
            print(json.dumps(report), flush=True)
    finally:
        await load.close()


if __name__ == "__main__":
    try:
        uvloop.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), *sys.argv[4:]))
    except KeyboardInterrupt:
        sys.exit(0)
