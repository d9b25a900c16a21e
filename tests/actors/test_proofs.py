"""A consumer who proves who they are: before they answer, in the call, against one who did not."""

from __future__ import annotations

import pytest

from actors.session.admission import admit
from actors.session.person import Person
from broker.errors import ErrorCode, Forbidden
from broker.messages.cluster.trunk import Principal
from broker.words import Surface
from tests.actors.stage import CONSUMER, STRANGER, Message, Stage, Trunk, hello_of
from tests.actors.test_takeover import succeeding

PROVED = {"verified": True, "name": "Casey Proved", "visitor_id": "v-1"}


def come(
    stage: Stage, principal: Principal, surface: Surface = Surface.WINDOW
) -> tuple[Person, Trunk]:
    """Say hello as the gateway does, and connect. Raises what the session refuses."""
    came: list[Person] = []
    epoch = stage.session.epoch
    admit(stage.session, hello_of(principal, epoch=epoch, surface=surface), came.append)
    [person] = came
    return person, stage.connect(person, surface)


def seen(agent: Trunk) -> Message:
    """The consumer in the roster."""
    shown: Message
    [shown] = [
        each for each in agent.last("roster.changed")["roster"] if each["role"] == "consumer"
    ]
    return shown


@pytest.mark.parametrize("how", ["on another surface", "on coming back"])
async def test_a_proof_in_the_call_is_shown_and_kept(stage: Stage, how: str) -> None:
    agent, _ = await stage.talking()
    assert not seen(agent)["verified"]
    person = stage.consumer()
    proof = dict(PROVED)
    if how == "on coming back":
        proof["participant_id"] = person.participant_id
    again, trunk = come(stage, CONSUMER.model_copy(update=proof))
    await stage.settle()
    assert again is person
    assert (seen(agent)["name"], seen(agent)["verified"]) == ("Casey Proved", True)
    assert trunk.last("session.snapshot")["attendance"] == "present"
    assert stage.ledger.types().count("participant.verified") == 1
    kept = stage.ledger.subjects[person.participant_id].body
    assert (kept["name"], kept["visitor_id"]) == ("Casey Proved", "v-1")
    come(stage, CONSUMER.model_copy(update=proof), Surface.POP_OUT)
    await stage.settle()
    assert stage.ledger.types().count("participant.verified") == 1


async def test_a_proof_takes_the_place_of_who_only_rang(stage: Stage) -> None:
    agent, outsider = await stage.ringing()
    former = stage.consumer()
    other = CONSUMER.model_copy(update={**PROVED, "claim_hash": STRANGER})
    person, trunk = come(stage, other)
    await stage.settle()
    assert person is not former
    assert trunk.last("session.snapshot")["invitation"]["state"] == "ringing"
    assert outsider.last("session.left")["reason"] == "left"
    assert outsider.transport.closes[-1]["to_waiting"]
    assert former.connections == {}
    assert "conflicts.changed" not in agent.types(), "nobody is asked about who proved it"
    with pytest.raises(Forbidden) as refusal:
        come(stage, CONSUMER)
    assert refusal.value.code is ErrorCode.CONSUMER_CONFLICT
    assert len(agent.last("conflicts.changed")["conflicts"]) == 1
    invitation = trunk.last("session.snapshot")["invitation"]["invitation_id"]
    stage.ask(person, trunk, "invitation.accept", invitation_id=invitation, mode="video")
    await stage.settle()
    assert (seen(agent)["name"], seen(agent)["verified"]) == ("Casey Proved", True)


async def test_a_proof_puts_nobody_out_of_a_call(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    with pytest.raises(Forbidden):
        come(stage, CONSUMER.model_copy(update={**PROVED, "claim_hash": STRANGER}))
    await stage.settle()
    assert consumer.transport.closes == []
    [conflict] = agent.last("conflicts.changed")["conflicts"]
    stage.ask(stage.agent, agent, "conflict.admit", conflict_id=conflict["conflict_id"])
    await stage.settle()
    guest, trunk = come(stage, CONSUMER.model_copy(update={**PROVED, "claim_hash": STRANGER}))
    invitation = trunk.last("session.snapshot")["invitation"]["invitation_id"]
    stage.ask(guest, trunk, "invitation.accept", invitation_id=invitation, mode="video")
    await stage.settle()
    shown = {each["role"]: each["verified"] for each in agent.last("roster.changed")["roster"]}
    assert shown == {"agent": True, "consumer": False, "guest": True}


async def test_who_proved_it_is_rung_before_anybody_else_sees_an_invitation(stage: Stage) -> None:
    agent, outsider = await stage.talking()
    stage.ask(stage.consumer(), outsider, "session.leave")
    await stage.settle()
    _, unproved = come(stage, CONSUMER)
    _, proved = come(stage, CONSUMER.model_copy(update={**PROVED, "claim_hash": STRANGER}))
    stage.ask(stage.agent, agent, "invitation.send", mode="video")
    await stage.settle()
    assert proved.last("session.snapshot")["invitation"]["state"] == "ringing"
    assert "session.snapshot" not in unproved.types()


async def test_whose_place_it_is_and_that_it_is_proved_outlives_the_actor(stage: Stage) -> None:
    await stage.ringing()
    other = CONSUMER.model_copy(update={**PROVED, "claim_hash": STRANGER})
    person, _ = come(stage, other)
    await stage.settle()
    async with succeeding(stage) as successor:
        again, _ = come(successor, CONSUMER.model_copy(update={"claim_hash": STRANGER}))
        assert again.participant_id == person.participant_id
        assert again.principal.verified
        with pytest.raises(Forbidden):
            come(successor, CONSUMER.model_copy(update=PROVED))


async def test_who_passes_by_with_one_secret_after_another_is_not_remembered(stage: Stage) -> None:
    """Nobody has rung, so any claim may come; each would else stay for the rest of the session."""
    agent = await stage.begin()
    stage.ask(stage.agent, agent, "invitation.cancel")
    await stage.settle()
    before = len(stage.session.people)
    for number in range(20):
        person, trunk = come(stage, CONSUMER.model_copy(update={"claim_hash": f"{number:064}"}))
        stage.disconnect(person, trunk)
    assert len(stage.session.people) == before
    person, trunk = come(stage, CONSUMER)
    stage.ask(stage.agent, agent, "invitation.send", mode="video")
    await stage.settle()
    stage.disconnect(person, trunk)
    assert stage.session.people[person.participant_id] is person, "who rang may come back"
