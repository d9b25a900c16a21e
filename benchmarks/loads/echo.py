"""A load for servers that send every message back: the floor and the naive design."""

from __future__ import annotations

import asyncio
import time

from benchmarks.histogram import Histogram
from benchmarks.websocket import WebSocket, connect

MESSAGE = b'{"type":"media.publish","id":"%d","microphone":true,"camera":true,"screen":false}'


class Echo:
    """Sends what a widget sends over each connection in turn, and waits for it to come back."""

    def __init__(self, address: str, connections: int) -> None:
        self._address = address
        self._connections = connections
        self._sockets: list[WebSocket] = []
        self._pending: dict[bytes, float] = {}
        self._measured_from = 0.0
        self._latency = Histogram()

    async def open(self) -> None:
        for _ in range(self._connections):
            socket = await connect(self._address + "/v1/connect")
            socket.on_text = self._on_text
            self._sockets.append(socket)

    def begin(self, measured_from: float) -> None:
        self._measured_from = measured_from
        self._latency = Histogram()
        self._pending.clear()

    def send(self, number: int, intended: float) -> None:
        message = MESSAGE % number
        self._pending[message] = intended
        self._sockets[number % len(self._sockets)].send(message)

    def missing(self) -> int:
        return len(self._pending)

    def histograms(self) -> dict[str, Histogram]:
        return {"reply": self._latency}

    async def close(self) -> None:
        for socket in self._sockets:
            socket.close()
        await asyncio.sleep(0)

    def _on_text(self, text: bytes) -> None:
        now = time.monotonic()
        intended = self._pending.pop(text, None)
        if intended is not None and intended >= self._measured_from:
            self._latency.record(now - intended)
