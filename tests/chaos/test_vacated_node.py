"""A node that the others can spare runs empty while a call goes on: for Ray it is idle then.

Ray's autoscaler itself is not here: it removes what Ray calls idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from actors.pool import PoolPolicy
from tests.chaos.afterwards import ended_well, unchanged
from tests.chaos.town import People, Town, open_town
from tests.operations.cluster import until
from tests.patience import PATIENCE

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 * PATIENCE)]

STANDBYS = 3


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    options = ("--vacate-below", "0.5")
    with open_town(folder, labels=("eu", "eu", "eu"), standbys=STANDBYS, options=options) as opened:
        yield opened


def idle_for_ray(town: Town) -> list[str]:
    """The nodes on which nothing takes a resource, as the ledger calls them."""
    free, all_ = town.cluster.ask(
        "[state.available_resources_per_node(), state.total_resources_per_node()]"
    )
    return [node[:12] for node in all_ if free[node] == all_[node]]


async def test_a_node_runs_empty_while_a_call_goes_on(town: Town) -> None:
    await asyncio.to_thread(until, "standbys on each node", lambda: len(town.nodes()) == 3)
    async with unchanged(town):
        await one_runs_empty(town)


async def one_runs_empty(town: Town) -> None:
    everywhere = {each["node"] for each in town.nodes()}
    people = People(town)
    agent, consumer = await people.talking()
    held_at = (await asyncio.to_thread(town.node_of_session))["node"]
    assert await asyncio.to_thread(idle_for_ray, town) == []
    patience_s = 2 * PoolPolicy().vacate_after_s * PATIENCE
    empty = "a node without a session actor"
    await asyncio.to_thread(until, empty, lambda: len(town.nodes()) == 2, patience_s)
    found = {each["node"]: each for each in town.nodes()}
    assert sum(each["standbys"] for each in found.values()) >= STANDBYS + 1, found
    assert (await asyncio.to_thread(town.node_of_session))["node"] == held_at
    (gone,) = everywhere - set(found)
    await asyncio.to_thread(until, "Ray calls it idle", lambda: idle_for_ray(town) == [gone])
    await agent.insist("media.mode", mode="voice")
    assert all(m.get("epoch", 1) == 1 for m in agent.heard), "nothing has moved"
    await agent.insist("session.end")
    await consumer.expect("session.ended")
    types = await ended_well(town, people, agent, consumer)
    assert types["participant.mode_changed"] == 1
