"""A voice made by hand, and how much of it a listener's decoder must make up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .client import CraftedClient


@asynccontextmanager
async def talking(client: CraftedClient) -> AsyncIterator[None]:
    """Send numbered audio meanwhile, fifty packets a second, as Opus does."""
    talk = asyncio.create_task(_talk(client))
    try:
        yield
    finally:
        talk.cancel()
        with suppress(asyncio.CancelledError):
            await talk


async def _talk(client: CraftedClient) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    number = 0
    while True:
        client.send_audio(number.to_bytes(4, "big") + bytes(76), level=30)
        number += 1
        due += 0.02
        await asyncio.sleep(max(0.0, due - loop.time()))


def concealed(client: CraftedClient, first: int, last: int, patience: float = 0.2) -> float:
    """Return the share of a voice's packets that a decoder must make up.

    A packet is made up for when it is late by more than `patience` and the next one, whose in-band
    FEC repeats it (RFC 6716 §2.1.7), is too. What has browsers send FEC is in `test_reports`.
    """
    audio, _ = client.seat(0)
    arrived = {int.from_bytes(h.content[:4], "big"): h.at for h in client.heard_on(audio)}
    numbers = range(first, last)
    fastest = min(at - n * 0.02 for n, at in arrived.items() if n in numbers)
    in_time = {n for n, at in arrived.items() if at - n * 0.02 - fastest <= patience}
    lost = sum(n not in in_time and n + 1 not in in_time for n in numbers)
    return lost / len(numbers)
