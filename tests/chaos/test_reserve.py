"""A node dies with more sessions than the reserve: who had to wait comes back oldest first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests import patience
from tests.chaos.busy import Busy
from tests.chaos.load import CHANGES, check, during, load, longest
from tests.chaos.town import MOVED_S, People, Town, open_town
from tests.ledger import postgres
from tests.operations.cluster import until
from tests.patience import PATIENCE

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 * PATIENCE)]

CALLS = 6
STANDBYS = 2
RESERVE = 2
ROOM = 12
"""Of the node that takes them over, for those that were there to spare and one for each call."""
GIVEN = """
SELECT string_agg(session_id, ' ' ORDER BY granted_ms, created_ms)
FROM sessions JOIN tenures USING (session_id, epoch) WHERE epoch > 1
"""
"""The sessions that were taken over, by when whoever holds them was given them."""


async def test_a_node_with_more_sessions_than_the_reserve_dies(tmp_path: Path) -> None:
    """The calls fill the only node of their label; then there is another, with the reserve."""
    with open_town(
        tmp_path,
        labels=("us", "eu"),
        slots=(ROOM, CALLS),
        standbys=STANDBYS,
        options=("--reserve", str(RESERVE)),
    ) as town:
        await town.stand_by("us", "eu")
        opening = load(town, [town.origin], calls=CALLS, answered_s=MOVED_S)
        async with opening as (calls, busy):
            (full,) = [node for node in town.nodes() if node["live"]]
            assert (full["live"], full["standbys"], full["label"]) == (CALLS, 0, "eu")
            await asyncio.to_thread(town.cluster.add, label="eu", slots=ROOM)
            spare = await reserved(town)
            lost = town.process_of(full["node"])
            during(busy, [], "its node is lost")
            await asyncio.to_thread(lost.kill)
            await patience.until(
                lambda: all(epoch_of(one) > 1 for one in busy), "all are back", MOVED_S, every=0.1
            )
            await patience.until(
                lambda: min(changes_of(busy)) >= CHANGES, "enough is changed", MOVED_S, every=0.1
            )
        await judge(town, calls, busy, spare)


def changes_of(busy: list[Busy]) -> list[int]:
    """How many acknowledged changes each call has."""
    pairs = zip(busy[::2], busy[1::2], strict=True)
    return [len(agent.changed) + len(consumer.changed) for agent, consumer in pairs]


def epoch_of(one: Busy) -> int:
    """The newest tenure that somebody was told of."""
    return max(int(m["epoch"]) for m in one.heard if "epoch" in m)


async def reserved(town: Town) -> int:
    """Wait until the pool has its reserve, and starts nothing more; says what there is of it."""

    def spare() -> int:
        return sum(node["standbys"] for node in town.nodes() if node["label"] == "eu")

    await asyncio.to_thread(until, "the reserve", lambda: spare() >= RESERVE)
    await town.all_known()
    return spare()


async def judge(town: Town, calls: list[People], busy: list[Busy], spare: int) -> None:
    database = f"{town.database.url}/postgres"
    oldest_first = [people.session_id for people in calls]
    given = str(await postgres.value(database, GIVEN)).split()
    pauses = longest([one.gaps for one in busy])
    print(f"{spare} to spare; given {[oldest_first.index(each) for each in given]}; {pauses}")
    assert sorted(given) == sorted(oldest_first)
    assert RESERVE <= spare < CALLS - 2, "more than one had to wait for another"
    waited = given[spare:]
    assert waited == [each for each in oldest_first if each in waited], "the oldest first"
    for people, agent, consumer in zip(calls, busy[::2], busy[1::2], strict=True):
        await check(town, people, agent, consumer)
    await town.at_rest()
    assert await postgres.value(database, "SELECT count(*) FROM sessions") == CALLS
