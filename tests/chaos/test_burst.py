"""Two hundred starts within a second on a pool of ten: each is served or told that it cannot be."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.errors import ErrorCode
from gateway.settings import Limits
from tests.chaos.afterwards import recorded, unchanged
from tests.chaos.records import whole
from tests.chaos.town import Gateways, People, Town, open_town
from tests.ledger import postgres
from tests.operations.cluster import Operator, until
from tests.patience import PATIENCE
from tests.widget import Refused, Widget

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 * PATIENCE)]

STARTS = 200
WITHIN_S = 1.0
STANDBYS = 10
SLOTS = 18
"""Of each of the two nodes: more session actors than these there cannot be."""
BOUND_S = Limits().open_timeout_s * PATIENCE
"""A gateway waits no longer for the ledger's answer."""


@dataclass
class Asker:
    """An agent who starts a session, and what became of that."""

    people: People
    agent: Widget
    code: str = ""
    """Of the refusal."""
    waited_s: float = 0.0

    async def ask(self, delay_s: float) -> None:
        """Start a session after a while; returns with the session's snapshot, or the refusal."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(delay_s)
        begun = loop.time()
        try:
            await self.agent.request("session.start", mode="video", limit_s=2 * BOUND_S)
            snapshot = await self.agent.expect("session.snapshot")
            self.people.session_id = snapshot["session_id"]
        except Refused as refusal:
            self.code = refusal.code
        self.waited_s = loop.time() - begun

    async def end(self) -> None:
        """End the session."""
        await self.agent.insist("session.end")
        await self.agent.expect("session.ended")

    async def close(self) -> None:
        """Hang up."""
        await self.agent.close()
        await self.people.close()


async def test_two_hundred_starts_in_a_second_on_a_pool_of_ten(tmp_path: Path) -> None:
    places = tmp_path / "first", tmp_path / "second"
    for each in places:
        each.mkdir()
    labels, slots = ("eu", "eu"), (SLOTS, SLOTS)
    with (
        open_town(places[0], labels=labels, slots=slots, standbys=STANDBYS) as town,
        Operator(places[1], town.operator.environment) as second,
    ):
        gateways = Gateways(town, second)
        async with unchanged(town):
            await burst(town, gateways)
        gateways.close()


def standing(town: Town) -> int:
    """How many standbys there are."""
    return sum(town.standbys().values())


async def made(town: Town) -> int:
    """How many sessions there ever were."""
    found = await postgres.value(f"{town.database.url}/postgres", "SELECT count(*) FROM sessions")
    return int(str(found))


async def burst(town: Town, gateways: Gateways) -> None:
    askers = await arrived(town, gateways)
    assert (standing(town), await made(town)) == (STANDBYS, 0)
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(askers):
            group.create_task(one.ask(number * WITHIN_S / STARTS))

    served = [one for one in askers if one.people.session_id]
    refused = [one for one in askers if one.code]
    longest = max(one.waited_s for one in askers)
    codes = Counter(one.code for one in refused)
    print(f"{len(served)} served, refused {codes}, longest wait in seconds {longest:.2f}")
    assert len(served) + len(refused) == STARTS
    assert STANDBYS <= len(served) <= 2 * SLOTS
    assert set(codes) == {ErrorCode.NO_CAPACITY}
    assert all("session.waiting" in one.agent.types() for one in refused)
    assert longest <= BOUND_S
    ids = {one.people.session_id for one in served}
    assert len(ids) == len(served)
    assert sum(node["live"] for node in town.nodes()) == len(served)
    assert len(town.holders()) == len(served)
    assert await made(town) == len(served), "who was refused has none"

    await asyncio.gather(*(one.end() for one in served))
    # Who was refused is served as soon as there is room.
    again = refused[0]
    await again.agent.insist("session.start", mode="video")
    again.people.session_id = (await again.agent.expect("session.snapshot"))["session_id"]
    await again.end()
    for one in (*served, again):
        whole(await recorded(town, one.people), people=1)
    await asyncio.gather(*(one.close() for one in askers))
    await town.at_rest()


async def arrived(town: Town, gateways: Gateways) -> list[Asker]:
    """So many agents at the gateways, each at an engagement of their own."""
    askers = []
    for number in range(STARTS):
        people = People(town)
        people.through = gateways.origins[number % 2]
        agent = await people.agent()
        people.beat(agent)
        askers.append(Asker(people, agent))
    await asyncio.to_thread(until, "the pool is full", lambda: standing(town) >= STANDBYS)
    return askers
