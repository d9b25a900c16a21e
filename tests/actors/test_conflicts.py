"""Strangers at an engagement: how many are asked about, by whom they may be kept out."""

from __future__ import annotations

import pytest

from actors.session.conflicts import OPEN_LIMIT
from broker.errors import Forbidden, NotFound
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from tests.actors.stage import AGENT, CONSUMER, Message, Stage, Trunk


def stranger(stage: Stage, number: int) -> None:
    with pytest.raises(Forbidden):
        stage.come(CONSUMER.model_copy(update={"claim_hash": f"{number:064}"}))


def asked(agent: Trunk) -> list[Message]:
    found: list[Message] = agent.last("conflicts.changed")["conflicts"]
    return found


async def test_so_many_strangers_are_asked_about_and_each_once(stage: Stage) -> None:
    agent, _ = await stage.talking()
    for number in range(2 * OPEN_LIMIT):
        stranger(stage, number)
    assert len(asked(agent)) == OPEN_LIMIT
    told = agent.types().count("conflicts.changed")
    stranger(stage, 0)
    assert agent.types().count("conflicts.changed") == told == OPEN_LIMIT
    # Once one was answered there is room for the next.
    stage.ask(stage.agent, agent, "conflict.dismiss", conflict_id=asked(agent)[0]["conflict_id"])
    assert len(asked(agent)) == OPEN_LIMIT - 1
    stranger(stage, 0)
    stranger(stage, 2 * OPEN_LIMIT)
    assert len(asked(agent)) == OPEN_LIMIT


async def test_whoever_may_admit_nobody_keeps_nobody_out(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    guest, trunk = await stage.guest(admitted=True)
    stranger(stage, 1)
    [conflict] = asked(agent)
    for person, theirs in ((stage.consumer(), consumer), (guest, trunk)):
        assert "conflicts.changed" not in theirs.types()
        for deed in ("conflict.dismiss", "conflict.admit"):
            stage.ask(person, theirs, deed, conflict_id=conflict["conflict_id"])
            assert theirs.last("request.refused")["code"] == "not_permitted"
    assert asked(agent) == [conflict]


async def test_an_id_of_the_roster_is_nobody_elses(stage: Stage) -> None:
    """A participant comes back in their own role and no other."""
    await stage.talking()
    of_consumer, of_agent = stage.consumer().participant_id, stage.agent.participant_id
    for principal, participant_id in ((CONSUMER, of_agent), (AGENT, of_consumer), (AGENT, "p-x")):
        with pytest.raises(NotFound):
            stage.come(principal.model_copy(update={"participant_id": participant_id}))
    stage.come(AGENT.model_copy(update={"participant_id": of_agent}))
    guest = Principal(role=Role.GUEST, account_id="acc", participant_id=of_consumer)
    with pytest.raises(NotFound):
        stage.come(guest)


async def test_a_consumer_who_proves_who_they_are_before_they_accept_is_verified(
    stage: Stage,
) -> None:
    agent, launcher = await stage.ringing()
    proof = {"verified": True, "name": "Casey Proved", "visitor_id": "v-1"}
    stage.come(CONSUMER.model_copy(update=proof))
    stage.come(CONSUMER)
    stage.accept(launcher)
    await stage.settle()
    [shown] = [
        each for each in agent.last("roster.changed")["roster"] if each["role"] == "consumer"
    ]
    assert (shown["name"], shown["verified"]) == ("Casey Proved", True)
    [joined] = [each for each in stage.ledger.entries if each.type == "participant.joined"][1:]
    assert joined.body["verified"]
    kept = stage.ledger.subjects[stage.consumer().participant_id]
    assert (kept.body["name"], kept.body["visitor_id"]) == ("Casey Proved", "v-1")
