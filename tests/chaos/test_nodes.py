"""Three Ray nodes, two labels, PostgreSQL: placement, faults, a drain, the death of a node.

The cluster takes half a minute to start and to stop, so all of it is soak.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from actors.session.person import PACE_COUNT
from tests.chaos.afterwards import ended_well, recorded, unchanged
from tests.chaos.clocks import NodeClock
from tests.chaos.poison import poison
from tests.chaos.records import whole
from tests.chaos.streams import Streaming, flow, streaming
from tests.chaos.street import KEPT_BYTES, Weight, resumed
from tests.chaos.town import MOVED_S, Gateways, People, Town, moved_to, open_town
from tests.operations.cluster import SESSIONS, SINGLES, Operator, until
from tests.patience import PATIENCE
from tests.widget import Refused, Widget, guest_widget

pytestmark = pytest.mark.timeout(400 * PATIENCE)

STANDBYS = 2
LINES = PACE_COUNT - 4
"""So many may be said before one is asked to wait."""
GAP_S = 2.0
"""A drain costs nobody more sound or picture than this, a node's death three times as much: it has
to be noticed first."""


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> list[NodeClock]:
    """Of each node, in the order of their labels."""
    folder = tmp_path_factory.mktemp("clocks")
    return [NodeClock(folder / f"node-{number}") for number in range(3)]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, clocks: list[NodeClock]) -> Iterator[Town]:
    """Two nodes in `eu`, one in `us`."""
    folder, places = tmp_path_factory.mktemp("town"), [each.place for each in clocks]
    labels = ("us", "eu", "eu")
    with open_town(folder, labels=labels, standbys=STANDBYS, releases=places) as opened:
        yield opened


@pytest.fixture
async def people(town: Town) -> AsyncIterator[People]:
    await town.stand_by("eu", "us")
    async with unchanged(town):
        made = People(town)
        yield made
        await made.close()


async def one_owner(town: Town) -> None:
    """Nobody but one session actor holds a session, where there is one call."""
    await asyncio.to_thread(until, "one owner", lambda: len(town.holders()) == 1)


async def end(agent: Widget, consumer: Widget) -> None:
    await agent.insist("session.end")
    await consumer.expect("session.ended")


@pytest.mark.soak
@pytest.mark.parametrize("stopped_s", [0.0, 30.0], ids=["briefly", "30s"])
async def test_nothing_of_a_call_needs_the_gcs(
    town: Town, people: People, stopped_s: float
) -> None:
    agent, consumer = await people.talking()
    await town.stand_by("eu")
    assert (await asyncio.to_thread(town.node_of_session))["label"] == "eu"
    (holder,) = town.holders()
    (gcs,) = town.cluster.processes("gcs_server")
    gcs.suspend()
    try:
        holder.kill()
        await moved_to((agent, consumer), 2)
        await one_owner(town)
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
    types = await ended_well(town, people, agent, consumer, joined=3)
    assert (types["guest.invited"], types["participant.mode_changed"]) == (1, 2)


@pytest.mark.soak
async def test_a_call_outlives_ledger_pool_and_keeper_together(town: Town, people: People) -> None:
    agent, consumer = await people.talking()
    for title in SINGLES:
        (process,) = town.cluster.processes(title)
        process.kill()
    await agent.request("media.publish", microphone=True, camera=True, screen=False)
    await agent.insist("guest.invite")
    await one_owner(town)
    await end(agent, consumer)
    assert (await ended_well(town, people, agent, consumer))["guest.invited"] == 1


@pytest.mark.soak
async def test_a_gateway_that_is_killed_costs_nobody_the_call(
    town: Town, people: People, tmp_path: Path
) -> None:
    with Operator(tmp_path, town.operator.environment) as second:
        gateways = await asyncio.to_thread(Gateways, town, second)
        agent, consumer = await people.talking()
        holders = town.holders()
        town.ups[0].kill_alone()
        try:
            lost = agent, consumer
            assert {await widget.expect_close() for widget in lost} == {1006}
            agent = await resumed(agent, gateways.origins[1], page=people.origin)
            await agent.insist("guest.invite")
            consumer = await resumed(consumer, gateways.origins[1], page=people.origin)
            await agent.insist("media.mode", mode="voice")
            await consumer.expect("roster.changed")
            for before, widget in zip(lost, (agent, consumer), strict=True):
                numbers = [m["seq"] for m in [*before.heard, *widget.heard] if m.get("seq")]
                assert numbers == sorted(set(numbers)), "what was missed came once, and in order"
            assert town.holders() == holders, "one owner, and the same"
        finally:
            # Whoever is killed is started again.
            await asyncio.to_thread(gateways.kill, 0)
        await end(agent, consumer)
        await asyncio.to_thread(gateways.close)
    types = await ended_well(town, people, agent, consumer)
    assert (types["guest.invited"], types["participant.mode_changed"]) == (1, 1)
    assert types["participant.left"] == 0


@pytest.mark.soak
async def test_a_call_outlives_the_crash_of_its_database(town: Town, people: People) -> None:
    agent, consumer = await people.talking()
    await agent.insist("guest.invite")
    await asyncio.to_thread(town.database.crash)
    try:
        marked = len(agent.heard)
        await consumer.request("media.mode", mode="voice")
        told = await agent.expect("roster.changed", after=marked)
        assert [one["mode"] for one in told["roster"]] == ["video", "voice"]
        with pytest.raises(Refused) as refusal:
            await consumer.request("media.mode", mode="video")
        assert (refusal.value.code, refusal.value.retryable) == ("ledger_away", True)
        await one_owner(town)
    finally:
        await asyncio.to_thread(town.database.start)
    await consumer.insist("media.mode", mode="video")
    await one_owner(town)
    await end(agent, consumer)
    changes = [
        event["body"]["mode"]
        for event in await recorded(town, people)
        if event["type"] == "participant.mode_changed"
    ]
    assert changes == ["voice", "video"], "each acknowledged event is there, and once"
    assert (await ended_well(town, people, agent, consumer))["guest.invited"] == 1


@pytest.mark.soak
@pytest.mark.parametrize("step_s", [3_600, -3_600], ids=["ahead", "behind"])
async def test_clocks_of_nodes_that_jump_by_an_hour_end_nothing_and_refuse_nobody(
    town: Town, people: People, clocks: list[NodeClock], step_s: int
) -> None:
    agent, consumer = await people.talking()
    await town.stand_by("eu")
    await consumer.close()
    await agent.expect("roster.changed", after=len(agent.heard) - 1)
    (holder,) = town.holders()
    later = People(town)
    # All but the holder's jump: whoever takes over is elsewhere, and they disagree, too.
    node = (await asyncio.to_thread(town.node_of_session))["node"]
    own = 1 + town.added.index(await asyncio.to_thread(town.process_of, node))
    for number, clock in enumerate(clocks):
        clock.step(0 if number == own else step_s)
    try:
        consumer = await resumed(consumer, people.origin)
        await agent.insist("guest.invite")
        # Whoever takes over has started by a wrong clock, and has it for life.
        for standby in town.cluster.processes(SESSIONS):
            if standby.pid != holder.pid:
                standby.kill()
        await asyncio.to_thread(until, "no standby is left", lambda: not town.standbys()["eu"])
        await town.stand_by("eu")
        holder.kill()
        await moved_to((agent, consumer), 2)
        await one_owner(town)
        await agent.insist("guest.invite")
        pair = await later.talking()
        await end(*pair)
        await end(agent, consumer)
    finally:
        for clock in clocks:
            clock.step(0)
    events = await recorded(town, people)
    times = [event["at_ms"] for event in events]
    assert max(times) - min(times) < 600_000, "no event is dated an hour off"
    await ended_well(town, later, *pair)
    types = await ended_well(town, people, agent, consumer)
    assert (types["participant.returned"], types["participant.left"]) == (3, 0)
    assert types["guest.invited"] == 2


@pytest.mark.soak
async def test_an_event_that_cannot_be_replayed_costs_three_standbys_and_no_other_call(
    town: Town, people: People
) -> None:
    agent, consumer = await people.talking()
    (holder,) = town.holders()
    other = People(town)
    pair = await other.talking()
    await agent.insist("guest.invite")
    last = len(await recorded(town, people))
    holder.suspend()
    await poison(f"{town.database.url}/postgres", people.session_id)
    holder.kill()
    for widget in (agent, consumer):
        ended = await widget.expect("session.ended", limit_s=MOVED_S)
        assert ended["reason"] == "takeover_exhausted"
    events = await recorded(town, people)
    assert len(events) == last + 2, "the journal is kept"
    assert whole(events)["guest.invited"] == 1
    marks = len(agent.heard), len(consumer.heard)
    await agent.insist("session.start", mode="video")
    for widget, mark in zip((agent, consumer), marks, strict=True):
        fresh = await widget.expect("session.snapshot", after=mark)
        assert fresh["session_id"] != people.session_id
    await agent.insist("session.end")
    await agent.expect("session.ended", after=marks[0])
    assert {m["epoch"] for widget in pair for m in widget.heard if "epoch" in m} == {1}
    await pair[0].insist("guest.invite")
    await end(*pair)
    assert (await ended_well(town, other, *pair))["guest.invited"] == 1
    await ended_well(town, people, agent, consumer)


@pytest.mark.soak
async def test_a_widget_that_does_not_read_holds_nobody_up_and_hears_all_of_it_later(
    town: Town, people: People
) -> None:
    """What cuts one off that has too much to read: `tests/chaos/test_faults.py`."""
    agent, consumer = await people.talking()
    other = People(town)
    pair = await other.talking()
    parts = [psutil.Process(town.ups[0].pid), *town.holders()]
    before = [Weight.of(part) for part in parts]
    marked, waits = len(consumer.heard), list[float]()
    consumer._socket.transport.pause_reading()
    lines = [f"{number} {'x' * 900}" for number in range(LINES)]
    for line, mode in zip(lines, itertools.cycle(("voice", "video")), strict=False):
        for widget, request in (
            (agent, {"type_": "text.send", "text": line}),
            (pair[1], {"type_": "media.mode", "mode": mode}),
        ):
            begun = time.monotonic()
            await widget.insist(**request)
            waits.append(time.monotonic() - begun)
    assert consumer.heard[marked:] == []
    grown = [Weight.of(each.process).memory - each.memory for each in before]
    consumer._socket.transport.resume_reading()
    await consumer.expect("text.said", text=lines[-1])
    heard = [m["text"] for m in consumer.heard[marked:] if m["type"] == "text.said"]
    assert heard == lines, "each once, and in order"
    print("longest wait in seconds", max(waits))
    assert max(waits) <= GAP_S * PATIENCE
    assert max(grown) < KEPT_BYTES, grown
    await end(*pair)
    await end(agent, consumer)
    assert (await ended_well(town, other, *pair))["participant.mode_changed"] == LINES
    await ended_well(town, people, agent, consumer)


@pytest.mark.soak
async def test_a_session_and_its_media_are_drained_and_outlive_their_node(
    town: Town, people: People
) -> None:
    agent, consumer = await people.talking()
    async with streaming(lambda: agent, lambda: consumer) as streams:
        await moved_by_drain_and_by_death(town, agent, consumer, streams)
    await one_owner(town)
    await end(agent, consumer)
    assert (await ended_well(town, people, agent, consumer))["guest.invited"] == 1


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
