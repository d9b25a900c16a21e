"""Requests to session actors that change nothing, and their replies.

`media.publish` with an id and the values that hold already is answered by `request.done` and moves
no roster: gateway, trunk, actor and back, with the actor's decision in between.
"""

from __future__ import annotations

import re

import httpx

from benchmarks.arrivals import REFUSED
from benchmarks.histogram import Histogram
from benchmarks.participant import Call, Edge, Participant, call

_REPLY = re.compile(rb'"type":"(request\.[a-z]+)","reply_to":"s(\d+)"')
MESSAGE = b'{"type":"media.publish","id":"s%d","microphone":true,"camera":true,"screen":false}'


class Request:
    """Sessions of a given size whose participants ask in turn."""

    def __init__(self, address: str, sessions: int, size: int) -> None:
        self._http = httpx.AsyncClient(timeout=20)
        self._edge = Edge.at(address, self._http)
        self._sessions = sessions
        self._size = size
        self._calls: list[Call] = []
        self._people: list[Participant] = []
        self._pending: dict[int, float] = {}
        self._measured_from = 0.0
        self._latency = Histogram()
        self._refused = 0

    async def open(self) -> None:
        for _ in range(self._sessions):
            made = await call(self._edge, self._size)
            self._calls.append(made)
            for person in made.people:
                await person.ask(
                    {"type": "media.publish", "microphone": True, "camera": True, "screen": False}
                )
                person.on_raw = self._on_raw
        # Neighbours in time speak in different sessions.
        self._people = [
            p for row in zip(*(c.people for c in self._calls), strict=True) for p in row
        ]

    def begin(self, measured_from: float) -> None:
        self._measured_from = measured_from
        self._latency = Histogram()
        self._pending.clear()
        self._refused = 0

    def send(self, number: int, intended: float) -> None:
        self._pending[number] = intended
        self._people[number % len(self._people)].send(MESSAGE % number)

    def missing(self) -> int:
        return len(self._pending)

    def counts(self) -> dict[str, int]:
        return {REFUSED: self._refused} if self._refused else {}

    def histograms(self) -> dict[str, Histogram]:
        return {"reply": self._latency}

    async def close(self) -> None:
        for made in self._calls:
            await made.end()
        await self._http.aclose()

    def _on_raw(self, text: bytes, now: float) -> bool:
        match = _REPLY.search(text)
        if match is None:
            return False
        intended = self._pending.pop(int(match[2]), None)
        if intended is None:
            # Later than its round: nobody waits for it any more.
            return True
        if match[1] != b"request.done":
            self._refused += 1
        elif intended >= self._measured_from:
            self._latency.record(now - intended)
        return True
