"""Nodes that are drained: no new session, and those there are moved while their holders live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.errors import Conflict, NotFound, Unavailable
from broker.messages.cluster.nodes import NodeDrain, NodeState
from broker.messages.cluster.sessions import SessionRelocated
from tests.ledger.conftest import Town
from tests.ledger.fakes import POLICY, FakeActor, FakeGateway, entry
from tests.patience import until


async def on_two_nodes(town: Town) -> tuple[FakeActor, FakeGateway, str]:
    """Return an actor on node-1 that holds a session, a gateway, and the session's id."""
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await actor.append(entry(2, word="kept"))
    return actor, gateway, session_id


def standing(town: Town) -> NodeState:
    return town.ledger.nodes().nodes[0]


async def test_a_drain_moves_sessions_and_lets_no_standby_stay(town: Town) -> None:
    actor, gateway, session_id = await on_two_nodes(town)
    idle, elsewhere = await town.actor(), await town.actor(node="node-2")
    state = await gateway.drain("node-1")
    assert (state.drain, state.members) == ("moving", 2)
    await until(lambda: bool(gateway.told("session.relocated", SessionRelocated)), "news")
    moved = gateway.told("session.relocated", SessionRelocated)[0].location
    assert (moved.session_id, moved.epoch, moved.port) == (session_id, 2, elsewhere.port)
    assert actor.yielded == [1], "it was asked before its epoch ended"
    assert [one.seq for one in elsewhere.past] == [1, 2]
    await until(lambda: actor.stopped and idle.stopped, "both actors of the node told to go")
    # Refused for its epoch, or cut off already: it is told to go within a moment.
    with pytest.raises((Conflict, Unavailable)):
        await actor.append(entry(3, word="too late"))
    await elsewhere.append(entry(3))
    words = [event.body.get("word") for event in (await gateway.record(session_id)).events]
    assert (len(words), "too late" in words) == (3, False)
    for gone in (actor, idle):
        await gone.die()
    await until(lambda: town.ledger.level().members == [elsewhere.member_id], "their end")
    nodes = await gateway.nodes()
    assert (nodes["node-1"].drain, nodes["node-1"].moved, nodes["node-1"].live) == ("drained", 1, 0)
    assert (nodes["node-2"].drain, nodes["node-2"].live) == ("no", 1)
    assert (await town.actor()).kept == [True]
    assert town.ledger.level().standbys == 0, "a drained node gets no standby"


async def test_a_move_is_announced_first_and_once_and_taken_back_where_none_comes(
    town: Town,
) -> None:
    actor, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1", deadline_s=60.0)
    await until(lambda: town.ledger.level().queued == 1, "the move in the queue")
    await gateway.undrain("node-1")
    await until(lambda: len(actor.leaving) == 2, "that it stays")
    await gateway.drain("node-1", deadline_s=5.0)
    await until(lambda: town.ledger.level().queued == 1, "the next move in the queue")
    await gateway.drain("node-1", deadline_s=30.0)
    await until(lambda: len(actor.leaving) == 4, "the new deadline")
    elsewhere = await town.actor(node="node-2")
    await until(lambda: bool(elsewhere.committed), "the move")
    assert actor.leaving == [(60_000, 0), (None, 0), (5_000, 0), (30_000, 0)]
    assert actor.yielded == [1]
    await gateway.undrain("node-1")
    assert elsewhere.leaving == [], "it does not move again"


async def test_a_drain_waits_for_room_elsewhere_and_undrain_ends_it(town: Town) -> None:
    actor, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1")
    await until(lambda: town.ledger.level().queued == 1, "the move in the queue")
    await gateway.undrain("node-1")
    await gateway.undrain("node-1")
    await until(lambda: town.ledger.level().queued == 0, "the move given up")
    await actor.append(entry(3))
    assert (await gateway.nodes())["node-1"].drain == "no"
    await town.actor()
    await until(lambda: town.ledger.level().standbys == 1, "a standby again")
    assert (await gateway.open("eng-2")).epoch == 1


async def test_a_drain_is_over_at_its_deadline_and_cuts_nobody_off(town: Town) -> None:
    actor, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1", deadline_s=5.0)
    town.clock.ms += 5_000
    await until(lambda: standing(town).drain == "late", "the end of the drain")
    assert (standing(town).live, standing(town).moved) == (1, 0)
    await until(lambda: actor.leaving == [(5_000, 0), (None, 0)], "that it stays")
    await actor.append(entry(3))
    assert not actor.stopped
    elsewhere = await town.actor(node="node-2")
    await gateway.drain("node-1", deadline_s=5.0)
    await until(lambda: bool(elsewhere.continued), "the move under a new deadline")


async def test_a_session_whose_actor_is_gone_is_counted_where_it_was(town: Town) -> None:
    """It keeps the node from being drained, and no standby has it yet."""
    actor, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1", deadline_s=5.0)
    await actor.die()
    await until(lambda: standing(town).members == 0, "the loss")
    town.clock.ms += 5_000
    await until(lambda: standing(town).drain == "late", "the end of the drain")
    assert (standing(town).live, standing(town).unheld) == (0, 1)
    elsewhere = await town.actor(node="node-2")
    await until(lambda: bool(elsewhere.committed), "its next actor")
    assert (standing(town).drain, standing(town).unheld) == ("drained", 0)


async def test_a_holder_that_does_not_yield_keeps_its_session_until_it_does(town: Town) -> None:
    actor, gateway, session_id = await on_two_nodes(town)
    elsewhere = await town.actor(node="node-2")
    actor.yields = False
    await gateway.drain("node-1")
    await until(lambda: actor.told_to_keep >= 2, "two tries")
    assert elsewhere.continued == []
    await actor.append(entry(3))
    actor.yields = True
    await until(lambda: bool(elsewhere.committed), "the move")
    assert [one.seq for one in (await gateway.record(session_id)).events] == [1, 2, 3]


async def test_a_session_that_cannot_be_moved_holds_up_no_other(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, moves_at_once=1))
    actor, gateway, _ = await on_two_nodes(town)
    actor.yields = False
    await town.actor()
    await gateway.open("eng-2")
    elsewhere = await town.actor(node="node-2")
    await gateway.drain("node-1")
    await until(lambda: bool(elsewhere.committed), "the move of the second session")
    assert elsewhere.continued[0].engagement_key == "eng-2"


async def test_a_standby_that_dies_before_the_move_costs_nothing(town: Town) -> None:
    actor, gateway, session_id = await on_two_nodes(town)
    doomed = await town.actor(node="node-2")

    async def yielding() -> None:
        await doomed.die()
        await until(lambda: doomed.member_id not in town.ledger.level().members, "its end")

    actor.yielding = yielding
    await gateway.drain("node-1")
    await until(lambda: actor.told_to_keep == 1, "that the holder keeps its session")
    assert (await gateway.takeover(session_id, 0)).epoch == 1
    await actor.append(entry(3))


async def test_a_standby_that_fails_a_move_does_not_cost_the_session(bare_town: Town) -> None:
    town = bare_town
    # The old holder can be reached and has no part in the session any more: it is not waited for.
    await town.new_ledger(replace(POLICY, return_s=600.0))
    actor, gateway, session_id = await on_two_nodes(town)
    bad, good = await town.actor(node="node-2", kills=True), await town.actor(node="node-2")
    await gateway.drain("node-1")
    await until(lambda: bool(good.committed), "the second standby")
    assert bad.continued
    place = await gateway.takeover(session_id, 1)
    assert (place.epoch, place.port) == (3, good.port)
    await until(lambda: actor.stopped, "the old holder's end")


async def test_moves_do_not_use_up_a_sessions_takeovers(town: Town) -> None:
    _, gateway, session_id = await on_two_nodes(town)
    for epoch in range(2, 8):
        there, here = f"node-{epoch % 2 + 1}", f"node-{(epoch + 1) % 2 + 1}"
        standby = await town.actor(node=here)
        await gateway.drain(there)
        await until(lambda: bool(standby.committed), f"move {epoch}")  # noqa: B023
        await gateway.undrain(there)
        assert (await gateway.takeover(session_id, epoch - 1)).epoch == epoch
    standby = await town.actor()
    await town.new_ledger()
    place = await gateway.takeover(session_id, 6)
    assert place.epoch >= 7, "nor does a new ledger count them"


async def test_a_drain_outlives_its_ledger(bare_town: Town) -> None:
    town = bare_town
    first = await town.new_ledger()
    actor, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1")
    await first.close()
    await town.new_ledger()
    await until(lambda: len(actor.kept) == 2, "the second enlisting")
    elsewhere = await town.actor(node="node-2")
    await until(lambda: bool(elsewhere.committed), "the move by the second ledger")
    assert (await gateway.nodes())["node-1"].drain in ("moving", "drained")


async def test_a_node_is_not_drained_while_its_actors_are_still_to_come_back(
    bare_town: Town,
) -> None:
    """Whoever stops a node waits for that word, also while the ledger is replaced."""
    town = bare_town
    first = await town.new_ledger()
    actor, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1")
    await first.close()
    second = await town.new_ledger()
    port, town.home.port = town.home.port, 0
    assert (standing(town).drain, second.level().members) == ("moving", [])
    town.home.port = port
    await until(lambda: len(actor.kept) == 2, "the second enlisting")
    elsewhere = await town.actor(node="node-2")
    await until(lambda: bool(elsewhere.committed), "the move")
    await actor.die()
    await until(lambda: standing(town).drain == "drained", "that nothing is left")
    await elsewhere.die()
    await until(lambda: second.level().live == 1 and not second.level().members, "the loss")
    assert (await gateway.nodes())["node-1"].drain == "drained", "it was on another node"


async def test_a_drain_of_long_ago_is_forgotten_by_the_next_ledger(town: Town) -> None:
    _, gateway, _ = await on_two_nodes(town)
    await gateway.drain("node-1", deadline_s=1.0)
    town.clock.ms += POLICY.cordon_kept_ms + 2_000
    await town.ledger.close()
    await town.new_ledger()
    assert town.ledger.nodes().nodes == []


async def test_an_unknown_node_is_refused(town: Town) -> None:
    gateway = await town.gateway()
    with pytest.raises(NotFound):
        await gateway.drain("node-9")
    ask = NodeDrain(node="node-9", deadline_s=1.0, known=True)
    await gateway.link.call(ask, NodeState)
    assert (await gateway.nodes())["node-9"].drain == "drained"


async def test_an_opening_finds_no_capacity_where_every_node_is_drained(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, capacity_wait_s=0.05))
    await town.actor()
    gateway = await town.gateway()
    await gateway.drain("node-1")
    with pytest.raises(Unavailable):
        await gateway.open()
