"""Three Ray nodes, two labels, PostgreSQL: placement, faults, a drain, the death of a node.

The cluster takes half a minute to start and to stop, so all of it is soak.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest

from tests.chaos.baseline import Baseline
from tests.chaos.streams import Streaming, flow, streaming
from tests.chaos.street import resumed
from tests.chaos.town import KEY, People, Town, moved_to, open_town, told
from tests.operations.cluster import SINGLES, until
from tests.patience import PATIENCE
from tests.widget import Widget, guest_widget

pytestmark = pytest.mark.timeout(400 * PATIENCE)

STANDBYS = 2
MOST = STANDBYS + 3
"""Session actors of a town at rest: also a reserve, and those of its one account."""
GAP_S = 2.0
"""A drain costs nobody more sound or picture than this, a node's death three times as much: it has
to be noticed first."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two nodes in `eu`, one in `us`."""
    folder = tmp_path_factory.mktemp("town")
    with open_town(folder, labels=("us", "eu", "eu"), standbys=STANDBYS) as opened:
        yield opened


@pytest.fixture
async def people(town: Town) -> AsyncIterator[People]:
    """What is there when somebody comes is there when they are gone, and nothing more."""
    await ready(town)
    await town.all_known()
    before = Baseline(
        lambda: [psutil.Process(up.pid) for up in town.ups],
        lambda: town.cluster.processes("ray::"),
        most=MOST,
        known=lambda: sum(node["members"] for node in town.nodes()),
    )
    made = People(town)
    yield made
    await made.close()
    await before.back()


async def end(agent: Widget, consumer: Widget) -> None:
    await agent.insist("session.end")
    await consumer.expect("session.ended")


async def ended_well(
    town: Town, people: People, agent: Widget, consumer: Widget, *, guests: int = 0
) -> None:
    """The record of a call that was ended must be whole, and nothing of it left in the cluster."""
    path = f"sessions/{people.session_id}"
    events = (await asyncio.to_thread(told, town.operator, path, KEY))["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert types.count("session.started") == types.count("session.ended") == 1
    assert types.count("participant.joined") == 2 + guests
    for widget in (agent, consumer):
        await widget.close()
    await asyncio.to_thread(until, "no session is held any more", lambda: not town.holders())

    def calm() -> bool:
        found = town.nodes()
        return not any(n["live"] for n in found) and sum(n["standbys"] for n in found) >= STANDBYS

    await asyncio.to_thread(until, "the pool is full again", calm)
    await town.all_known()


async def ready(town: Town) -> None:
    """Wait for a standby under either label."""

    def standing() -> bool:
        found = town.standbys()
        return found["eu"] >= 1 and found["us"] >= 1

    await asyncio.to_thread(until, "standbys under both labels", standing)


@pytest.mark.soak
@pytest.mark.parametrize("stopped_s", [0.0, 30.0], ids=["briefly", "30s"])
async def test_nothing_of_a_call_needs_the_gcs(
    town: Town, people: People, stopped_s: float
) -> None:
    agent, consumer = await people.talking()

    def spare() -> bool:
        return town.standbys()["eu"] >= 1

    await asyncio.to_thread(until, "a standby for the takeover", spare)
    assert (await asyncio.to_thread(town.node_of_session))["label"] == "eu"
    (holder,) = town.holders()
    (gcs,) = town.cluster.processes("gcs_server")
    gcs.suspend()
    try:
        holder.kill()
        await moved_to((agent, consumer), 2)
        await agent.insist("media.mode", mode="voice")
        assert (await asyncio.to_thread(town.node_of_session))["label"] == "eu"
        await asyncio.sleep(stopped_s)
        consumer = await resumed(consumer, people.origin)
        link = await agent.insist("guest.invite")
        guest = await guest_widget(people.origin, str(link["url"]))
        waits = await guest.expect("session.snapshot")
        await agent.insist("participant.admit", participant_id=waits["participant_id"])
        await guest.expect("session.snapshot", attendance="present")
        await agent.insist("media.mode", mode="video")
        await end(agent, consumer)
        assert await guest.expect_close() == 4410
        await guest.close()
    finally:
        gcs.resume()
    await ended_well(town, people, agent, consumer, guests=1)


@pytest.mark.soak
async def test_a_call_outlives_ledger_pool_and_keeper_together(town: Town, people: People) -> None:
    agent, consumer = await people.talking()
    for title in SINGLES:
        (process,) = town.cluster.processes(title)
        process.kill()
    await agent.request("media.publish", microphone=True, camera=True, screen=False)
    await agent.insist("guest.invite")
    await end(agent, consumer)
    await ended_well(town, people, agent, consumer)


@pytest.mark.soak
async def test_a_session_and_its_media_are_drained_and_outlive_their_node(
    town: Town, people: People
) -> None:
    agent, consumer = await people.talking()
    async with streaming(lambda: agent, lambda: consumer) as streams:
        await moved_by_drain_and_by_death(town, agent, consumer, streams)
    await end(agent, consumer)
    await ended_well(town, people, agent, consumer)


async def moved_by_drain_and_by_death(
    town: Town, agent: Widget, consumer: Widget, streams: list[Streaming]
) -> None:
    await flow(streams, "drain", epoch=1)
    first = await asyncio.to_thread(town.node_of_session)
    assert first["label"] == "eu", "its account is bound to that label"

    words = ("drain", first["node"], "--deadline", "60s", "--json")
    status, said = await asyncio.to_thread(
        town.operator.run, *words, "--address", town.cluster.address
    )
    drained = json.loads(said.splitlines()[-1])
    assert (status, drained["drain"], drained["moved"], drained["live"]) == (0, "drained", 1, 0)
    logs = town.cluster.folder.glob("session_2*/logs/worker-*.err")
    lines = [line for log in logs for line in log.read_text().splitlines() if "drained" in line]
    (told,) = [json.loads(line) for line in lines]
    assert (told["message"], told["node"]) == ("A node is being drained.", first["node"])
    await moved_to((agent, consumer), 2)
    await flow(streams, "death", epoch=2)
    second = await asyncio.to_thread(town.node_of_session)
    assert second["label"] == "eu"
    assert second["node"] != first["node"]
    await agent.request("guest.invite")
    assert not [m for m in consumer.heard if m.get("attendance") == "left"]

    status, said = await asyncio.to_thread(
        town.operator.run, "undrain", first["node"], "--address", town.cluster.address
    )
    assert status == 0, said

    def refilled() -> bool:
        return any(n["node"] == first["node"] and n["standbys"] for n in town.nodes())

    await asyncio.to_thread(until, "a standby on the node that was put back", refilled)
    town.process_of(second["node"]).kill()
    await moved_to((agent, consumer), 3)
    await flow(streams, "after", epoch=3)
    third = await asyncio.to_thread(town.node_of_session)
    assert third["node"] != second["node"]
    print("longest pauses in seconds", [each.reception.gaps for each in streams])
    for each in streams:
        assert each.reception.gaps["drain"] <= GAP_S * PATIENCE, each.reception.gaps
        assert each.reception.gaps["death"] <= 3 * GAP_S * PATIENCE, each.reception.gaps
