"""Another server as a peer: `python -m benchmarks signaling --peer docs/examples/peer.py`.

It talks lines of text over TCP: the server says every line back, and the load speaks that.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from benchmarks.histogram import Histogram


class Lines:
    """Asks over each of some connections in turn: the methods of `Load` in `benchmarks/load.py`."""

    def __init__(self, address: str, connections: int) -> None:
        self._port = int(address.removeprefix("lines://"))
        self._count = connections
        self._writers: list[asyncio.StreamWriter] = []
        self._reading: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        for _ in range(self._count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.append(writer)
            self._reading.append(asyncio.create_task(self._read(reader)))

    def begin(self, measured_from: float) -> None:
        self._measured_from = measured_from
        self._pending: dict[int, float] = {}
        self._latency = Histogram()

    def send(self, number: int, intended: float) -> None:
        self._pending[number] = intended
        self._writers[number % self._count].write(b"%d\n" % number)

    def missing(self) -> int:
        return len(self._pending)

    def histograms(self) -> dict[str, Histogram]:
        return {"reply": self._latency}

    async def close(self) -> None:
        for task in self._reading:
            task.cancel()
        for writer in self._writers:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            # An answer that is later than its round is nobody's.
            intended = self._pending.pop(int(line), None)
            if intended is not None and intended >= self._measured_from:
                self._latency.record(time.monotonic() - intended)


def load(address: str, connections: int) -> Lines:
    """Make what asks this server, in the place of the scenario's own load."""
    return Lines(address, connections)


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def serve() -> None:
    """Start the server, say where it is, and end when standard input closes."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    address = f"lines://{server.sockets[0].getsockname()[1]}"
    print(json.dumps({"ready": True, "address": address}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
