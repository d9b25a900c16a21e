"""Sessions that start and end: click, ringing, accepted, stay, over.

The agent's and the consumer's connections stand before the click, as they do in life. A session
that is over gives its place to two new connections, which wait in their turn.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

from benchmarks.arrivals import Arrived, Trace
from benchmarks.histogram import Histogram
from benchmarks.participant import SILENCE, Edge, Participant, Refused, agent, consumer, guest

NO_CAPACITY = "no_capacity"
"""The code of a start that found no standby in time."""


@dataclass(slots=True)
class Pair:
    """An agent and the consumer who waits for a call."""

    caller: Participant
    waiting: Participant

    def close(self) -> None:
        self.caller.close()
        self.waiting.close()


class Lifecycle:
    """Starts a session at each arrival, accepts as soon as it rings, fills it up, and ends it.

    A session may outlast the round it began in (`stay_ms`). What is counted belongs to the round in
    which it happens; latencies and missing answers to that in which the session began.
    """

    def __init__(self, address: str, pairs: int, size: int = 2, stay_ms: int = 0) -> None:
        self._http = httpx.AsyncClient(timeout=20)
        self._edge = Edge.at(address, self._http)
        self._pairs = pairs
        self._size = size
        self._stay_s = stay_ms / 1e3
        self._free: list[Pair] = []
        self._running: set[asyncio.Task[None]] = set()
        self._round = 0
        self._asking = 0
        """Sessions of this round that wait for an answer."""
        self._unanswered = 0
        self._measured_from = 0.0
        self._histograms: dict[str, Histogram] = {}
        self._starts: list[Arrived] = []
        self._counts: Counter[str] = Counter()

    async def open(self) -> None:
        self._free = [await self._pair() for _ in range(self._pairs)]

    def begin(self, measured_from: float) -> None:
        self._measured_from = measured_from
        self._round += 1
        self._asking = self._unanswered = 0
        self._counts = Counter(started=0, ended=0)
        self._starts = []
        self._histograms = {name: Histogram() for name in ("ringing", "started", "accepted")}

    def send(self, number: int, intended: float) -> None:
        self._own(self._session(intended))

    def missing(self) -> int:
        return self._asking + self._unanswered

    def histograms(self) -> dict[str, Histogram]:
        return self._histograms

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def trace(self) -> Trace:
        """Return the starts, refused where none stood by; one without an answer is left out."""
        return sorted(self._starts)

    async def close(self) -> None:
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for pair in self._free:
            pair.close()
        await self._http.aclose()

    def _own(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _pair(self) -> Pair:
        engagement = f"bench-{secrets.token_hex(8)}"
        waiting = await consumer(self._edge, engagement)
        return Pair(await agent(self._edge, engagement), waiting)

    async def _session(self, intended: float) -> None:
        """Live through one session; whoever answers late, refuses or stays silent is counted."""
        people: list[Participant] = []
        try:
            async with self._answering():
                pair = self._free.pop() if self._free else await self._pair()
                people += (pair.caller, pair.waiting)
                await self._start(pair, intended)
                for number in range(self._size - 2):
                    people.append(await guest(self._edge, pair.caller, f"Guest {number + 1}"))
            await asyncio.sleep(self._stay_s)
            async with self._answering():
                await pair.caller.ask({"type": "session.end"})
                self._counts["ended"] += 1
        except Refused as refusal:
            self._counts[refusal.kind] += 1
        except SILENCE:
            pass
        finally:
            for person in people:
                person.close()
        # The engagement's next call would be a new session; a fresh pair keeps them all alike. One
        # that cannot be made now is made, and counted, by the session that finds none free.
        with suppress(Refused, *SILENCE):
            self._free.insert(0, await self._pair())

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """Count as missing within the context, and after it when no answer came."""
        number = self._round
        self._asking += 1
        try:
            yield
        except SILENCE:
            self._counts["unanswered"] += 1
            self._unanswered += number == self._round
            raise
        finally:
            self._asking -= number == self._round

    async def _start(self, pair: Pair, intended: float) -> None:
        ringing = asyncio.create_task(self._ring(pair, intended))
        try:
            try:
                await pair.caller.ask({"type": "session.start", "mode": "video"})
            except Refused as refusal:
                if refusal.code == NO_CAPACITY:
                    self._starts.append((intended, None))
                raise
            waited = time.monotonic() - intended
            self._starts.append((intended, waited))
            self._counts["started"] += 1
            self._record("started", waited, intended)
            invitation_id = await ringing
        finally:
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)
        accepted_at = time.monotonic()
        await pair.waiting.ask(
            {"type": "invitation.accept", "invitation_id": invitation_id, "mode": "video"}
        )
        self._record("accepted", time.monotonic() - accepted_at, intended)

    async def _ring(self, pair: Pair, intended: float) -> str:
        snapshot = await pair.waiting.snapshot()
        self._record("ringing", time.monotonic() - intended, intended)
        invitation = snapshot["invitation"]
        assert isinstance(invitation, dict), "the consumer's snapshot carries no invitation"
        return str(invitation["invitation_id"])

    def _record(self, name: str, seconds: float, intended: float) -> None:
        if intended >= self._measured_from:
            self._histograms[name].record(seconds)
