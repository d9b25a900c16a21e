"""What TLS costs a trunk: `python -m benchmarks.trunk_cost`, both ends in one process on loopback.

Plain and encrypted take turns, so the ratio is worth more than either number.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from typing import Any

import uvloop

from actors.link import DialledEnd, End, ListenedEnd, Tls, dial
from actors.listener import Listener
from broker.trunk import Frame
from gateway.links.trunk_tls import TrunkTls

KEY = b"k" * 32
BODY = b"m" * 400
ROUNDS = 7
TURNS = 3_000
BURST = 20_000
HANDSHAKES = 50
AT_ONCE = 64


class Everywhere(TrunkTls):
    """Encrypts on loopback as well."""

    def listening(self, host: str) -> ssl.SSLContext:
        return self.server

    def dialling(self, host: str) -> ssl.SSLContext:
        return self.client


async def measured(tls: Tls | None) -> tuple[float, float, float]:
    """Return microseconds for a handshake, for a message there and back, and for one of many."""

    def echo(end: End, kind: Frame, body: bytes) -> None:
        end.link.send(kind, body)

    def greet(end: ListenedEnd, hello: bytes) -> None:
        end.on_frame = echo
        end.accept(b"")

    listener = Listener(KEY, greet, tls=tls)
    port = await listener.start("127.0.0.1", 0)
    came = asyncio.Queue[int]()
    total = 0

    def heard(end: End, kind: Frame, body: bytes) -> None:
        nonlocal total
        total += 1
        came.put_nowait(total)

    def prepare(end: DialledEnd) -> None:
        end.on_frame = heard

    async def connect() -> Any:
        return (await dial("127.0.0.1", port, KEY, b"hello", tls=tls, prepare=prepare))[0]

    begun = time.perf_counter()
    for _ in range(HANDSHAKES):
        (await connect()).link.abort()
    handshake = (time.perf_counter() - begun) / HANDSHAKES
    end = await connect()
    begun = time.perf_counter()
    for _ in range(TURNS):
        end.link.send(Frame.MESSAGE, BODY)
        await came.get()
    turn = (time.perf_counter() - begun) / TURNS
    begun = time.perf_counter()
    for _ in range(BURST // AT_ONCE):
        for _ in range(AT_ONCE):
            end.link.send(Frame.MESSAGE, BODY)
        for _ in range(AT_ONCE):
            await came.get()
    each = (time.perf_counter() - begun) / (BURST // AT_ONCE * AT_ONCE)
    await listener.close()
    return handshake * 1e6, turn * 1e6, each * 1e6


async def main() -> None:
    tls = Everywhere(KEY)
    found: dict[str, list[tuple[float, float, float]]] = {"plain": [], "TLS 1.3": []}
    for _ in range(ROUNDS):
        found["plain"].append(await measured(None))
        found["TLS 1.3"].append(await measured(tls))
    print(f"medians of {ROUNDS} rounds, microseconds of both ends; {len(BODY)}-byte messages")
    print(f"{'':10}{'handshake':>12}{'there and back':>16}{f'each of {AT_ONCE}':>14}")
    for name, rounds in found.items():
        handshake, turn, each = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:10}{handshake:12.0f}{turn:16.1f}{each:14.2f}")


if __name__ == "__main__":
    uvloop.run(main())
