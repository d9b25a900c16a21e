"""A successor holds the same people as the actor before it, with what the journal knows of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors.session.person import Person
from broker.commands import InviteGuest, JoinGuest
from broker.errors import ErrorCode, Forbidden
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.messages.parts import EngagementIds
from broker.policy import Policy
from broker.words import Role, Surface
from tests.actors.stage import CLAIM, CONSUMER, STRANGER, WAIT_S, Stage


@asynccontextmanager
async def succeeding(stage: Stage) -> AsyncIterator[Stage]:
    """Close a stage, and continue its session on another."""
    successor = Stage(epoch=2)
    await stage.close()
    await successor.take_over(stage.ledger)
    try:
        yield successor
    finally:
        await successor.close()


async def test_the_consumer_is_known_by_the_same_claim() -> None:
    stage = Stage()
    await stage.talking()
    participant_id = stage.consumer().participant_id
    async with succeeding(stage) as successor:
        person = successor.session.people.of_claim(CLAIM)
        assert person is successor.session.people[participant_id]
        assert person.principal.name == "Casey"


async def test_an_invitation_after_the_takeover_rings_the_person_who_came_back() -> None:
    stage = Stage()
    _, consumer = await stage.talking()
    participant_id = stage.consumer().participant_id
    async with succeeding(stage) as successor:
        person = successor.session.people[participant_id]
        agent = successor.connect(successor.agent, Surface.AGENT_FRAME)
        consumer = successor.connect(person, Surface.WINDOW)
        await successor.settle()
        successor.ask(person, consumer, "session.leave")
        await successor.settle()
        waiting = successor.connect(person, Surface.LAUNCHER)
        successor.ask(successor.agent, agent, "invitation.send", mode="video")
        await successor.settle()
        assert waiting.last("session.snapshot")["invitation"]["state"] == "ringing"


async def test_a_session_with_an_erased_person_is_taken_over() -> None:
    stage = Stage()
    await stage.talking()
    participant_id = stage.consumer().participant_id
    stage.ledger.subjects[participant_id] = Subject(participant_id=participant_id, body={})
    async with succeeding(stage) as successor:
        agent = successor.connect(successor.agent, Surface.AGENT_FRAME)
        await successor.settle()
        roster = agent.last("session.snapshot")["roster"]
        assert [(entry["role"], entry["name"]) for entry in roster] == [
            ("agent", "Alex"),
            ("consumer", ""),
        ]
        person = successor.session.people[participant_id]
        back = successor.connect(person, Surface.WINDOW)
        successor.ask(person, back, "session.end")
        await successor.settle()
        assert agent.last("session.ended")["reason"] == "ended_by_consumer"


async def test_who_waited_in_the_lobby_and_does_not_come_back_is_out() -> None:
    stage = Stage(Policy(reconnect_grace_ms=1))
    await stage.talking()
    await stage.guest()
    successor = Stage(epoch=2)
    await stage.close()
    stage.ledger.grew.clear()
    await successor.take_over(stage.ledger)
    try:
        async with asyncio.timeout(WAIT_S):
            await stage.ledger.grew.wait()
        assert "participant.left" in stage.ledger.types()
    finally:
        await successor.close()


async def test_whoever_was_let_in_beside_the_consumer_is_known_by_their_own_claim() -> None:
    stage = Stage()
    await stage.talking()
    other = Person("p-other", CONSUMER.model_copy(update={"claim_hash": STRANGER}))
    stage.session.people[other.participant_id] = other
    agent_id = stage.agent.participant_id
    stage.session.do(InviteGuest(agent_id, "g", STRANGER, 1, 60_000, admitted=True))
    stage.session.do(JoinGuest(other.participant_id, "g"))
    await stage.settle()
    async with succeeding(stage) as successor:
        person = successor.session.people.of_claim(STRANGER)
        assert person is not None
        assert (person.participant_id, person.principal.role) == ("p-other", Role.CONSUMER)


async def test_a_request_that_the_next_actor_is_asked_again_takes_effect_once() -> None:
    """The actor before died when it was durable, and had answered nobody."""
    stage = Stage()
    agent, consumer = await stage.talking()
    stage.ask(stage.consumer(), consumer, "session.leave")
    await stage.settle()
    asked = {
        "invitation.send": {"mode": "video"},
        "guest.invite": {"name": "Gil"},
        "media.mode": {"mode": "voice"},
    }
    for type_, fields in asked.items():
        stage.ask(stage.agent, agent, type_, id=type_, **fields)
    await stage.settle()
    link = agent.last("guest.invited")
    async with succeeding(stage) as successor:
        back = successor.connect(successor.agent, Surface.AGENT_FRAME)
        await successor.settle()
        told = successor.ledger.types()
        for type_, fields in asked.items():
            successor.ask(successor.agent, back, type_, id=type_, **fields)
        await successor.settle()
        assert successor.ledger.types() == told
        answers = [each for each in back.heard if "reply_to" in each]
        assert [(each["type"], each["reply_to"]) for each in answers] == [
            ("request.done", "invitation.send"),
            ("guest.invited", "guest.invite"),
            ("request.done", "media.mode"),
        ]
        assert back.last("guest.invited")["url"] == link["url"]
        # What somebody else asks under the same id is theirs.
        helper, trunk = await successor.guest(admitted=True)
        successor.ask(helper, trunk, "media.mode", id="media.mode", mode="voice")
        await successor.settle()
        assert successor.ledger.types()[-1] == "participant.mode_changed"


async def test_a_line_of_text_that_two_actors_say_can_be_known_again() -> None:
    stage = Stage()
    agent, consumer = await stage.talking()
    for request_id in ("one", "other"):
        stage.ask(stage.agent, agent, "text.send", id=request_id, text="hello")
    first, second = (each for each in consumer.heard if each["type"] == "text.said")
    assert first["text_id"] != second["text_id"]
    async with succeeding(stage) as successor:
        back = successor.connect(successor.agent, Surface.AGENT_FRAME)
        window = successor.connect(successor.consumer(), Surface.WINDOW)
        await successor.settle()
        successor.ask(successor.agent, back, "text.send", id="one", text="hello")
        assert window.last("text.said")["text_id"] == first["text_id"]


async def test_the_policy_of_the_start_holds_whatever_later_tenures_are_given() -> None:
    promised = Policy(participant_limit=3, guest_lobby=False, invitation_ms=7_000)
    stage = Stage(promised)
    await stage.talking()
    async with succeeding(stage) as successor:
        assert successor.session.decided.policy == promised
        # An actor of a release that did not journal it: what the ledger says holds.
        first = stage.ledger.entries[0]
        before = {name: value for name, value in first.body.items() if name != "policy"}
        stage.ledger.entries[0] = first.model_copy(update={"body": before})
    async with succeeding(stage) as successor:
        assert successor.session.decided.policy == Policy()


async def test_a_session_of_the_next_release_is_taken_over_and_handed_back_whole() -> None:
    stage = Stage()
    await stage.talking()
    ledger, participant_id = stage.ledger, stage.consumer().participant_id
    known = ledger.subjects[participant_id].body
    told = {"account_id": "acc", "window_session_id": "w", "channel": "pigeon", "mood": "calm"}
    later = {**known, "pronouns": "they", "engagement": told}
    ledger.subjects[participant_id] = Subject(participant_id=participant_id, body=later)
    count = len(ledger.entries)
    ledger.entries.append(
        JournalEntry(
            seq=count + 1,
            at_ms=1_000_001,
            type="participant.blessed",
            version=1,
            body={"participant_id": participant_id},
        )
    )
    async with succeeding(stage) as successor:
        person = successor.session.people[participant_id]
        assert person.engagement is not None
        assert person.engagement.window_session_id == "w"
        successor.connect(person, Surface.WINDOW)
        successor.session.checkpoints.engagement_changed(
            person, person.engagement.model_copy(update={"conversation_id": "c"})
        )
        await successor.settle()
        assert [each.seq for each in ledger.entries] == list(range(1, len(ledger.entries) + 1))
        assert len(ledger.entries) > count + 2
        written = ledger.subjects[participant_id].body
        assert written.keys() == later.keys()
        assert written["pronouns"] == "they"
        assert written["engagement"].items() >= {**told, "conversation_id": "c"}.items()


@pytest.mark.parametrize("kept", ["with the subject", "by the resume token"])
async def test_who_knows_the_ids_is_not_taken_for_a_consumer_who_had_not_rung_yet(
    kept: str,
) -> None:
    stage = Stage()
    agent = await stage.begin()
    stage.ask(stage.agent, agent, "invitation.cancel")
    waits = stage.come(CONSUMER)
    stage.connect(waits, Surface.WINDOW)
    told = {"account_id": "acc", "conversation_id": "k", "visitor_name": "Vera"}
    stage.session.checkpoints.engagement_changed(waits, EngagementIds.model_validate(told))
    await stage.settle()
    subject = stage.ledger.subjects[waits.participant_id]
    assert subject.body["claim_hash"] == CLAIM
    if kept == "by the resume token":
        # As the release before wrote it.
        del subject.body["claim_hash"]
    resumed = CONSUMER.model_copy(update={"participant_id": waits.participant_id})
    async with succeeding(stage) as successor:
        agent = successor.connect(successor.agent, Surface.AGENT_FRAME)
        person = successor.come(resumed)
        assert person.participant_id == waits.participant_id
        window = successor.connect(person, Surface.WINDOW)
        successor.ask(successor.agent, agent, "invitation.send", mode="video")
        await successor.settle()
        successor.accept(window)
        await successor.settle()
        assert successor.session.durable.consumer_claim == CLAIM
        with pytest.raises(Forbidden) as refusal:
            successor.come(CONSUMER.model_copy(update={"claim_hash": STRANGER}))
        assert refusal.value.code is ErrorCode.CONSUMER_CONFLICT
        assert successor.come(CONSUMER) is person, "their other surface is theirs"
        successor.ask(successor.agent, agent, "text.send", text="for you alone")
        assert window.last("text.said")["text"] == "for you alone"


async def test_a_consumer_bound_without_a_claim_is_nobody_who_merely_has_one() -> None:
    """A release before bound a consumer without a claim, whom it had rebuilt from a subject."""
    stage = Stage()
    await stage.talking()
    consumer_id = stage.consumer().participant_id
    for entry in stage.ledger.entries:
        if entry.type == "invitation.ringing":
            entry.body["claim_hash"] = None
    stage.ledger.subjects[consumer_id].body.pop("claim_hash")
    async with succeeding(stage) as successor:
        for claim in (STRANGER, CLAIM):
            with pytest.raises(Forbidden):
                successor.come(CONSUMER.model_copy(update={"claim_hash": claim}))
        resumed = CONSUMER.model_copy(update={"participant_id": consumer_id})
        person = successor.come(resumed)
        assert person.participant_id == consumer_id
        assert successor.come(CONSUMER) is person
        with pytest.raises(Forbidden):
            successor.come(CONSUMER.model_copy(update={"claim_hash": STRANGER}))
