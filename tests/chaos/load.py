"""Calls whose people ask, and some of whom stream, while something is done to their cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from tests.chaos.afterwards import recorded
from tests.chaos.busy import Busy, Changing, are_kept, mode, rights_of, traces
from tests.chaos.records import whole
from tests.chaos.streams import Streaming, streaming
from tests.chaos.town import People, Town
from tests.widget import WAIT_S

CHANGES = 6
"""So many acknowledged ones at least are looked for in the record of a call."""


@asynccontextmanager
async def load(
    town: Town,
    origins: Sequence[str],
    *,
    calls: int,
    with_media: int = 0,
    answered_s: float = WAIT_S,
) -> AsyncIterator[tuple[list[People], list[Busy]]]:
    """Calls whose people ask all the time; the first agent at one gateway, the next at another.

    They come one after another. Of the first ones, `with_media` of them, what is changed
    stops no picture. `answered_s` as of `Busy`.
    """
    there = [People(town) for _ in range(calls)]
    busy: list[Busy] = []
    for number, people in enumerate(there):
        agent, consumer = await people.talking(through=origins[number % len(origins)])
        streams = number < with_media
        changes: tuple[Changing | None, Changing | None]
        if streams:
            joined = next(m for m in consumer.heard if m["type"] == "session.snapshot")
            rights = rights_of(joined["participant_id"])
            changes = rights, None
        else:
            changes = None, mode
        busy += [
            Busy(each, origins, change=change, streams=streams, answered_s=answered_s)
            for each, change in zip((agent, consumer), changes, strict=True)
        ]
    asking = [asyncio.create_task(each.run()) for each in busy]
    try:
        yield there, busy
    finally:
        for task in asking:
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        for people in there:
            await people.close()
        failed = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        if failed:
            for one in busy:
                await one.widget.close()
    assert not failed, [f"{type(each).__name__}: {each}"[-300:] for each in failed]


@asynccontextmanager
async def media_of(busy: list[Busy]) -> AsyncIterator[list[Streaming]]:
    """Let the media of the calls that have some flow within the context."""
    async with AsyncExitStack() as stack:
        streams: list[Streaming] = []
        for agent, consumer in zip(busy[::2], busy[1::2], strict=True):
            if agent.streams:
                of_call = streaming(agent.connection, consumer.connection)
                streams += await stack.enter_async_context(of_call)
        yield streams


def during(busy: list[Busy], streams: list[Streaming], phase: str) -> None:
    for each in busy:
        each.phase = phase
    for one in streams:
        one.reception.phase = phase


def longest(gaps: list[dict[str, float]]) -> dict[str, float]:
    """The longest pause of anybody in each phase."""
    return {phase: round(max(g.get(phase, 0.0) for g in gaps), 3) for g in gaps for phase in g}


async def check(town: Town, people: People, agent: Busy, consumer: Busy) -> None:
    """End a call; every acknowledged event is in its record, once, and nobody left it."""
    await agent.widget.insist("session.end")
    await consumer.widget.expect("session.ended")
    events = await recorded(town, people)
    assert "participant.left" not in whole(events)
    acknowledged = agent.changed + consumer.changed
    assert len(acknowledged) >= CHANGES
    assert are_kept(acknowledged, traces(events)), (acknowledged, traces(events))
    for one in (agent, consumer):
        await one.widget.close()
