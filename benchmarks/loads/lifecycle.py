"""Sessions that start and end: click, ringing, accepted, over.

The agent's and the consumer's connections stand before the click, as they do in life. A session
that is over gives its two connections back, which go on waiting.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

import httpx

from benchmarks.histogram import Histogram
from benchmarks.participant import Edge, Participant, Refused, agent, consumer


@dataclass(slots=True)
class Pair:
    """An agent and the consumer who waits for a call."""

    caller: Participant
    waiting: Participant

    def close(self) -> None:
        self.caller.close()
        self.waiting.close()


class Lifecycle:
    """Starts a session at each arrival, accepts as soon as it rings, and ends it."""

    def __init__(self, address: str, pairs: int) -> None:
        self._http = httpx.AsyncClient(timeout=20)
        self._edge = Edge(address, "demo", self._http)
        self._pairs = pairs
        self._free: list[Pair] = []
        self._running: set[asyncio.Task[None]] = set()
        self._measured_from = 0.0
        self._histograms: dict[str, Histogram] = {}
        self._failed = 0
        self.failure = ""

    async def open(self) -> None:
        self._free = [await self._pair() for _ in range(self._pairs)]

    def begin(self, measured_from: float) -> None:
        self._measured_from = measured_from
        self._failed = 0
        self._histograms = {name: Histogram() for name in ("ringing", "started", "accepted")}

    def send(self, number: int, intended: float) -> None:
        task = asyncio.get_running_loop().create_task(self._session(intended))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def missing(self) -> int:
        return len(self._running) + self._failed

    def histograms(self) -> dict[str, Histogram]:
        return self._histograms

    async def close(self) -> None:
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for pair in self._free:
            pair.close()
        await self._http.aclose()

    async def _pair(self) -> Pair:
        engagement = f"bench-{secrets.token_hex(8)}"
        waiting = await consumer(self._edge, engagement)
        return Pair(await agent(self._edge, engagement), waiting)

    async def _session(self, intended: float) -> None:
        pair = self._free.pop() if self._free else await self._pair()
        try:
            ringing = asyncio.create_task(self._ring(pair, intended))
            await pair.caller.ask({"type": "session.start", "mode": "video"})
            self._record("started", time.monotonic() - intended, intended)
            invitation_id = await ringing
            accepted_at = time.monotonic()
            await pair.waiting.ask(
                {"type": "invitation.accept", "invitation_id": invitation_id, "mode": "video"}
            )
            self._record("accepted", time.monotonic() - accepted_at, intended)
            await pair.caller.ask({"type": "session.end"})
        except (Refused, TimeoutError) as error:
            self._failed += 1
            self.failure = str(error)
        finally:
            # The engagement's next call is a new session; a fresh pair keeps the rounds alike.
            pair.close()
            self._free.insert(0, await self._pair())

    async def _ring(self, pair: Pair, intended: float) -> str:
        snapshot = await pair.waiting.snapshot()
        self._record("ringing", time.monotonic() - intended, intended)
        invitation = snapshot["invitation"]
        assert isinstance(invitation, dict), "the consumer's snapshot carries no invitation"
        return str(invitation["invitation_id"])

    def _record(self, name: str, seconds: float, intended: float) -> None:
        if intended >= self._measured_from:
            self._histograms[name].record(seconds)
