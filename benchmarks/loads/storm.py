"""A rush: many consumers open a page within a second."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter

import httpx

from benchmarks.histogram import Histogram
from benchmarks.participant import SILENCE, Edge, Participant, Refused, consumer


class Storm:
    """At each arrival a consumer gets a token, connects and waits until told that it may."""

    def __init__(self, address: str) -> None:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        self._http = httpx.AsyncClient(timeout=20, limits=limits)
        self._edge = Edge.at(address, self._http)
        self._running: set[asyncio.Task[None]] = set()
        self._there: list[Participant] = []
        self._measured_from = 0.0
        self._waiting = Histogram()
        self._unanswered = 0
        self._counts: Counter[str] = Counter()

    async def open(self) -> None:
        # The first is there before the rush, so that a server that is not there is known at once.
        (await consumer(self._edge, f"storm-{secrets.token_hex(8)}")).close()

    def begin(self, measured_from: float) -> None:
        for person in self._there:
            person.close()
        self._there.clear()
        self._measured_from = measured_from
        self._waiting = Histogram()
        self._unanswered = 0
        self._counts.clear()

    def send(self, number: int, intended: float) -> None:
        task = asyncio.get_running_loop().create_task(self._arrive(intended))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def missing(self) -> int:
        return len(self._running) + self._unanswered

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def histograms(self) -> dict[str, Histogram]:
        return {"waiting": self._waiting}

    async def close(self) -> None:
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for person in self._there:
            person.close()
        await self._http.aclose()

    async def _arrive(self, intended: float) -> None:
        try:
            person = await consumer(self._edge, f"storm-{secrets.token_hex(8)}")
        except Refused as refusal:
            self._counts[refusal.kind] += 1
            return
        except SILENCE:
            self._unanswered += 1
            return
        self._there.append(person)
        if intended >= self._measured_from:
            self._waiting.record(time.monotonic() - intended)
