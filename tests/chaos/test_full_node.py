"""Three Ray nodes, two labels, one of them full by its memory: who waits, and who does not."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gateway.compose.options import SESSION_MEMORY
from tests.chaos.afterwards import ended_well, unchanged
from tests.chaos.town import People, Town, open_town
from tests.operations.cluster import until
from tests.patience import PATIENCE
from tests.widget import Refused

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400 * PATIENCE)]

STANDBYS = 2
ONE_BYTES = SESSION_MEMORY * 11 // 10
"""A node's memory that has room for one session actor, and for no ledger, pool or keeper."""
PENDING = "sum(each['State'] == 'PENDING_CREATION' for each in state.actors().values())"
"""Starts that Ray keeps waiting; one that the pool gives up waits for a minute."""


async def test_a_full_label_keeps_its_own_waiting_and_nobody_else(tmp_path: Path) -> None:
    labels, memory = ("us", "eu", "us"), (None, ONE_BYTES, None)
    with open_town(tmp_path, labels=labels, memory=memory, standbys=STANDBYS) as town:
        await town.stand_by("us", "eu")
        async with unchanged(town):
            await one_label_is_full(town)


async def one_label_is_full(town: Town) -> None:
    first, second = People(town), People(town)
    agent, consumer = await first.talking()
    await agent.insist("guest.invite")
    refused = await second.agent()
    with pytest.raises(Refused) as refusal:
        await refused.request("session.start", mode="video")
    assert refusal.value.code == "no_capacity", "the only node of its label is full"
    assert "session.waiting" in refused.types()
    await asyncio.to_thread(until, "no start hangs", lambda: not town.cluster.ask(PENDING), 20.0)

    others = [People(town, "western") for _ in range(2)]
    pairs = [await each.talking() for each in others]
    for talking, _ in pairs:
        await talking.insist("guest.invite")
    assert not [agent for agent, _ in pairs if "session.waiting" in agent.types()]
    live: Counter[str] = Counter()
    for node in town.nodes():
        live[node["label"]] += node["live"]
        assert node["members"] <= (1 if node["label"] == "eu" else 8)
    assert live == {"eu": 1, "us": 2}
    spread = [node["live"] for node in town.nodes() if node["label"] == "us"]
    assert spread == [1, 1], "each goes where there are fewest"

    await agent.insist("session.end")
    await consumer.expect("session.ended")
    # The process of the session that ended stands by for its account: the place is free again.
    await refused.insist("session.start", mode="video")
    second.session_id = (await refused.expect("session.snapshot"))["session_id"]
    await refused.insist("guest.invite")
    for who in (refused, *(agent for agent, _ in pairs)):
        await who.insist("session.end")
        await who.expect("session.ended")
    assert (await ended_well(town, first, agent, consumer))["guest.invited"] == 1
    assert (await ended_well(town, second, refused, joined=1))["guest.invited"] == 1
    for people, pair in zip(others, pairs, strict=True):
        assert (await ended_well(town, people, *pair))["guest.invited"] == 1
