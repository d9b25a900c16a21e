"""A relay in a process of its own, and floods against it from a third.

`python -m tests.relay.flooding FD HEX RATE SECONDS ...` sends what it is told through sockets that
it inherits; `RemoteRelay` is what a crafted client needs of a relay, asked over a pipe.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from actors.relay import MediaRights, OfferLayout, Relay, RelayConfig

from .recording import RecordingListener

_PAUSE = 0.001
ROOT = Path(__file__).parents[2]


def flood(sockets: Sequence[socket.socket], packets: Sequence[bytes], port: int, rate: int) -> None:
    """Send `rate` datagrams a second until the process is ended."""
    began = time.monotonic()
    sent = 0
    while True:
        due = int((time.monotonic() - began) * rate)
        while sent < due:
            data = bytearray(packets[sent % len(packets)])
            if 127 < data[0] < 192:
                # Another packet each time, as far as a receiver without the key can tell.
                data[2:8] = os.urandom(6)
            try:
                sockets[sent % len(sockets)].sendto(data, ("127.0.0.1", port))
            except OSError:
                pass
            sent += 1
        time.sleep(_PAUSE)


@contextmanager
def flooded(
    sockets: Sequence[socket.socket], packets: Sequence[bytes], port: int, rate: int
) -> Iterator[None]:
    """Let another process flood a port through these sockets."""
    numbers = [s.fileno() for s in sockets]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.relay.flooding",
            ",".join(map(str, numbers)),
            ",".join(p.hex() for p in packets),
            str(port),
            str(rate),
        ],
        cwd=ROOT,
        pass_fds=numbers,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        # Its interpreter has started.
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _serve(pipe: Connection, config: RelayConfig) -> None:
    relay = Relay(config, RecordingListener())
    await relay.open()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def asked() -> None:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            ended.set()
            return
        if name == "close":
            ended.set()
        elif name == "port":
            pipe.send(relay.port)
        else:
            pipe.send(getattr(relay, name)(*arguments))

    loop.add_reader(pipe.fileno(), asked)
    await ended.wait()
    loop.remove_reader(pipe.fileno())
    await relay.close()


def _relay_process(pipe: Connection, config: RelayConfig) -> None:
    asyncio.run(_serve(pipe, config))


class RemoteRelay:
    """A relay in another process."""

    def __init__(self, config: RelayConfig | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(
            target=_relay_process, args=(there, config or RelayConfig()), daemon=True
        )
        self._process.start()
        there.close()
        self.port = cast(int, self._ask("port"))

    def _ask(self, name: str, *arguments: object) -> object:
        self._pipe.send((name, arguments))
        if not self._pipe.poll(30):
            raise TimeoutError(name)
        return self._pipe.recv()

    def answer(
        self,
        participant_id: str,
        transport_id: str,
        sdp: str,
        layout: OfferLayout,
        rights: MediaRights,
    ) -> str:
        return cast(str, self._ask("answer", participant_id, transport_id, sdp, layout, rights))

    def snapshot(self) -> dict[str, object]:
        return cast(dict[str, object], self._ask("snapshot"))

    def unique_memory(self) -> int:
        """Bytes that only the relay's process holds."""
        import psutil

        return int(psutil.Process(self._process.pid).memory_full_info().uss)

    def close(self) -> None:
        self._pipe.send(("close", ()))
        self._process.join(10)
        self._pipe.close()


def unlike_sources(count: int) -> list[socket.socket]:
    """Open sockets on many of loopback's addresses: what spoofed sources look like."""
    opened = []
    for index in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((socket.inet_ntoa(struct.pack("!I", 0x7F010000 + index)), 0))
        opened.append(one)
    return opened


if __name__ == "__main__":
    handles, hexes, to, per_second = sys.argv[1:]
    print("flooding", flush=True)
    flood(
        [socket.socket(fileno=int(number)) for number in handles.split(",")],
        [bytes.fromhex(each) for each in hexes.split(",")],
        int(to),
        int(per_second),
    )
