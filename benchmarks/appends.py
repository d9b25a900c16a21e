"""What one ledger makes durable: session actors that append to their journals one after another."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial

from actors.ledger_link import LedgerLink
from benchmarks.histogram import Histogram
from benchmarks.ledger import HOST, KEY, member, now_ms
from benchmarks.postgres import find_binaries, server
from benchmarks.rounds import Bench
from broker.messages.cluster.base import Done
from broker.messages.cluster.members import Enlisted, LinkHello
from broker.messages.cluster.tenure import JournalAppend, JournalEntry

ACTORS = 100
"""Sessions that append, each the next event once the one before is durable."""
WARM_UP = 1.0
SECONDS = 4.0
FLUSHES = 50
BODY = {"participant_id": "p" * 16, "mode": "voice"}


@dataclass(frozen=True, slots=True)
class Appends:
    """What one ledger did with one database."""

    database: str
    per_s: float
    durable: Histogram
    """From the append to the answer that it is durable."""
    processor_us: float
    """Of the ledger's process, for each append."""

    def line(self) -> str:
        """Say it in one line."""
        summary = self.durable.summary()
        after = [f"{name} {summary[name]:.1f} ms" for name in ("p50", "p99") if name in summary]
        return (
            f"{self.per_s:,.0f} appends/s of {ACTORS} sessions, durable after {', '.join(after)}, "
            f"{self.processor_us:.0f} us of its process each"
        )


class Writing:
    """The session actors of a round. `close` ends their links."""

    def __init__(self, port: int, actors: int) -> None:
        self._port = port
        self._actors = actors
        self._links: list[LedgerLink] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.durable = Histogram()

    async def start(self) -> None:
        """Enlist each as the holder of its session, and begin to append."""
        for number in range(self._actors):
            mine = member(number)
            link = LedgerLink(
                self._resolve,
                KEY,
                LinkHello(kind="session", member_id=mine.member_id, node=mine.node),
                enlist=partial(self._enlist, number),
            )
            await link.start()
            self._links.append(link)
        for link in self._links:
            await link.wait_up(10.0)
        self._tasks = [
            asyncio.create_task(self._append(number)) for number in range(len(self._links))
        ]

    def begin(self) -> None:
        """Count from now on."""
        self.durable = Histogram()

    async def close(self) -> None:
        """End them; raises what went wrong in any."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            await link.close()
        for each in ended:
            if not isinstance(each, asyncio.CancelledError) and each is not None:
                raise each

    async def _resolve(self) -> tuple[str, int]:
        return HOST, self._port

    @staticmethod
    async def _enlist(number: int, link: LedgerLink) -> None:
        enlisted = await link.call(member(number), Enlisted, timeout=10.0)
        if not enlisted.keep:
            raise RuntimeError("The ledger knows nothing of this session.")

    async def _append(self, number: int) -> None:
        mine, link, seq = member(number), self._links[number], 1
        while True:
            seq += 1
            entry = JournalEntry(
                seq=seq, at_ms=now_ms(), type="participant.mode_changed", version=1, body=BODY
            )
            append = JournalAppend(
                session_id=str(mine.session_id), epoch=1, entries=[entry], subjects=[]
            )
            began = time.perf_counter()
            await link.call(append, Done, timeout=10.0)
            self.durable.record(time.perf_counter() - began)


async def appended(
    bench: Bench, database: str, url: str, *, seconds: float = SECONDS, warm_up: float = WARM_UP
) -> Appends:
    """Measure one ledger on one database."""
    child = await bench.server(f"ledger on {database}", "benchmarks.ledger", url, str(ACTORS))
    writing = Writing(int(str(child.ready["port"])), ACTORS)
    try:
        await writing.start()
        await asyncio.sleep(warm_up)
        (process,) = child.family()
        writing.begin()
        began, spent = time.monotonic(), sum(process.cpu_times()[:2])
        await asyncio.sleep(seconds)
        spent, took = sum(process.cpu_times()[:2]) - spent, time.monotonic() - began
        count = writing.durable.count
    finally:
        await writing.close()
        await child.close()
    return Appends(database, count / took, writing.durable, 1e6 * spent / max(count, 1))


async def measured(bench: Bench) -> list[Appends]:
    """Measure SQLite, and PostgreSQL where its programs are: the last one serves several nodes."""
    found = []
    with tempfile.TemporaryDirectory(prefix="switchboard-ledger-") as folder:
        found.append(await appended(bench, "SQLite", f"sqlite:///{folder}/ledger.sqlite3"))
    binaries = find_binaries()
    if binaries is not None:
        with server(binaries) as url:
            found.append(await appended(bench, "PostgreSQL", url))
    return found


def flush_ms() -> float:
    """How long this disk takes to make a page durable, where the databases lie; the median."""
    took = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(FLUSHES):
            file.write(os.urandom(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(1e3 * (time.perf_counter() - began))
    return statistics.median(took)
