"""`kill -9` of the ledger's process: what was acknowledged is there, and is there once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from broker.errors import SwitchboardError
from broker.shards import WHOLE, Shard
from tests.ledger.conftest import Town
from tests.ledger.fakes import FakeActor, entry
from tests.patience import PATIENCE, until

ROOT = Path(__file__).parents[2]


class Process:
    """A ledger that can be killed."""

    def __init__(self, url: str, shard: Shard = WHOLE) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.ledger.serve_ledger", url),
                *(str(shard.number), str(shard.of)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def port(self) -> int:
        assert self._process.stdout is not None
        return int(await asyncio.to_thread(self._process.stdout.readline))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


async def start(town: Town, processes: ExitStack) -> Process:
    process = await asyncio.to_thread(Process, town.url, town.shard)
    processes.callback(process.kill)
    town.home.port = await process.port()
    return process


async def write_until(actor: FakeActor, stop: asyncio.Event) -> list[int]:
    """Append one event after the other as an actor does, and return those acknowledged."""
    acknowledged = []
    seq = 2
    while not stop.is_set():
        try:
            await actor.append(entry(seq, n=seq))
        except SwitchboardError:
            continue  # not acknowledged: sent again
        acknowledged.append(seq)
        seq += 1
    return acknowledged


async def test_every_acknowledged_event_survives_the_ledger(
    bare_town: Town, processes: ExitStack
) -> None:
    town = bare_town
    process = await start(town, processes)
    actors = [await town.actor() for _ in range(4)]
    gateway = await town.gateway()
    for number in range(4):
        await gateway.open(f"eng-{number}")
    stop = asyncio.Event()
    writing = [asyncio.ensure_future(write_until(actor, stop)) for actor in actors]
    for _ in range(2):
        before = [actor.last_seq for actor in actors]
        await until(
            lambda before=before: all(  # type: ignore[misc]  # a default binds this round's list
                actor.last_seq > old + 20 for actor, old in zip(actors, before, strict=True)
            ),
            "twenty events of each",
            within=30 * PATIENCE,
        )
        process.kill()
        process = await start(town, processes)
    before = [actor.last_seq for actor in actors]
    await until(
        lambda: all(actor.last_seq > old for actor, old in zip(actors, before, strict=True)),
        "events after the second death",
        within=30 * PATIENCE,
    )
    stop.set()
    for actor, acknowledged in zip(actors, await asyncio.gather(*writing), strict=True):
        assert actor.session_id is not None
        record = await gateway.record(actor.session_id)
        stored = [event.seq for event in record.events]
        assert stored == list(range(1, len(stored) + 1))
        assert set(acknowledged) <= set(stored)
        assert len(stored) - 1 - len(acknowledged) in (0, 1)
        assert actor.epoch == record.epoch == 1
