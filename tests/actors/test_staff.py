"""Further agents and supervisors on a live session: who is told what, who is heard by whom."""

from __future__ import annotations

import json

import pytest

from actors.relay import MediaRights
from actors.session.commands import join_staff
from actors.session.person import Person
from broker.messages.cluster.trunk import Principal
from broker.messages.facts import MediaQuality
from broker.messages.parts import EngagementIds
from broker.policy import Policy
from broker.words import Role, Surface, Way
from tests.actors.stage import Stage, Trunk

IDS = EngagementIds(account_id="acc", rt_session_id="eng", agent_id="8", chatting_agent_id="7")


@pytest.fixture
def policy() -> Policy:
    return Policy(silent_monitoring=True)


async def come(
    stage: Stage, role: Role, way: Way, ids: EngagementIds = IDS
) -> tuple[Person, Trunk]:
    """A member of the staff comes in and is connected."""
    principal = Principal(role=role, account_id="acc", agent_id="8", name="Dana", verified=True)
    person = Person(f"p-{role}", principal, engagement=ids)
    stage.session.people[person.participant_id] = person
    stage.session.do(join_staff(person, way, stage.session.engagement_key))
    trunk = stage.connect(person, Surface.AGENT_FRAME)
    await stage.settle()
    return person, trunk


def names(message: dict[str, object]) -> list[object]:
    roster = message["roster"]
    assert isinstance(roster, list)
    return [entry["name"] for entry in roster]


async def test_a_consulting_agent_waits_and_the_consumer_does_not_learn_of_it(
    stage: Stage,
) -> None:
    agent, consumer = await stage.talking()
    before = consumer.types()
    dana, trunk = await come(stage, Role.AGENT, Way.CONSULT)
    snapshot = trunk.last("session.snapshot")
    assert (snapshot["attendance"], snapshot["roster"]) == ("lobby", [])
    assert names(agent.last("roster.changed")) == ["Alex", "Casey", "Dana"]
    assert consumer.types() == before
    stage.ask(stage.agent, agent, "participant.admit", participant_id=dana.participant_id)
    await stage.settle()
    assert trunk.last("session.snapshot")["attendance"] == "present"
    assert names(consumer.last("roster.changed")) == ["Alex", "Casey", "Dana"]


async def test_a_consulting_agent_who_is_sent_away_goes_back_to_the_ways(stage: Stage) -> None:
    agent, _ = await stage.talking()
    dana, trunk = await come(stage, Role.AGENT, Way.CONSULT)
    stage.ask(stage.agent, agent, "participant.refuse", participant_id=dana.participant_id)
    await stage.settle()
    assert trunk.last("session.left")["reason"] == "not_admitted"
    assert trunk.transport.closes[0]["to_waiting"] is True


async def test_a_hand_over_lets_the_first_agent_leave(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    dana, trunk = await come(stage, Role.AGENT, Way.CONSULT)
    stage.ask(stage.agent, agent, "participant.admit", participant_id=dana.participant_id)
    stage.ask(stage.agent, agent, "session.hand_over", participant_id=dana.participant_id)
    stage.ask(stage.agent, agent, "session.leave")
    await stage.settle()
    assert agent.last("session.left")["reason"] == "left"
    owners = [e["name"] for e in consumer.last("roster.changed")["roster"] if e["owner"]]
    assert owners == ["Dana"]
    assert trunk.transport.closes == []


async def test_after_a_transfer_the_new_agent_takes_over_by_their_own_token(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    stage.ask(
        stage.agent,
        agent,
        "engagement.update",
        engagement={"account_id": "acc", "rt_session_id": "eng", "chatting_agent_id": "8"},
    )
    assert agent.transport.closes == []
    mine = IDS.model_copy(update={"chatting_agent_id": "acc.8"})
    _, trunk = await come(stage, Role.AGENT, Way.TAKE_OVER, mine)
    assert trunk.last("session.snapshot")["attendance"] == "present"
    assert agent.last("session.left")["reason"] == "transferred"
    assert agent.transport.closes[0]["to_waiting"] is True
    assert names(consumer.last("roster.changed")) == ["Casey", "Dana"]
    assert "participant.left" in stage.ledger.types()


async def test_an_agent_who_helps_takes_over_once_the_conversation_is_theirs(stage: Stage) -> None:
    agent, _ = await stage.talking()
    dana, trunk = await come(stage, Role.AGENT, Way.CONSULT)
    stage.ask(stage.agent, agent, "participant.admit", participant_id=dana.participant_id)
    await stage.settle()
    stage.ask(dana, trunk, "session.join", way="take_over")
    await stage.settle()
    assert trunk.last("request.refused")["code"] == "not_permitted"
    # Their workspace shows another conversation, which is theirs; then this one is.
    for key in ("another", "eng"):
        assert stage.session.durable.owner_id == stage.agent.participant_id
        update = {"account_id": "acc", "rt_session_id": key, "chatting_agent_id": "8"}
        stage.requests.handle(
            dana,
            trunk.connection,
            json.dumps({"type": "engagement.update", "engagement": update}).encode(),
        )
        stage.ask(dana, trunk, "session.join", way="take_over")
        await stage.settle()
    assert stage.session.durable.owner_id == dana.participant_id
    assert agent.last("session.left")["reason"] == "transferred"


async def test_who_the_consumer_of_another_conversation_is_does_not_stand_here(
    stage: Stage,
) -> None:
    """An agent's workspace shows another conversation: nothing of its consumer is kept here."""
    agent, _ = await stage.talking()
    other = {
        "rt_session_id": "another",
        "visitor_id": "v-elsewhere",
        "visitor_name": "Nobody here",
        "conversation_id": "c-elsewhere",
        "channel": "chat",
    }
    here = {"rt_session_id": "eng", "visitor_id": "v-here", "visitor_name": "Casey"}
    for ids, kept in ((other, False), (here, True)):
        update = {"account_id": "acc", "agent_id": "7", "chatting_agent_id": "acc.7", **ids}
        message = {"type": "engagement.update", "engagement": update}
        stage.requests.handle(stage.agent, agent.connection, json.dumps(message).encode())
        await stage.settle()
        known = stage.ledger.subjects[stage.agent.participant_id].body["engagement"]
        assert (known["rt_session_id"], known["agent_id"]) == (ids["rt_session_id"], "7")
        assert (known.get("visitor_id") == ids["visitor_id"]) is kept
        assert (ids["visitor_name"] in str(known)) is kept
        # Whose conversation it is decides who may take over, and is known of both.
        assert stage.agent.chats_on(ids["rt_session_id"])


async def test_nothing_the_consumer_receives_differs_while_somebody_listens(stage: Stage) -> None:
    """The same life, with and without a supervisor: the consumer hears the same, to the letter."""
    other = Stage(Policy(silent_monitoring=True))
    heard = []
    for each, monitored in ((stage, True), (other, False)):
        agent, consumer = await each.talking()
        if monitored:
            boss, trunk = await come(each, Role.SUPERVISOR, Way.MONITOR)
            assert names(trunk.last("session.snapshot")) == ["Alex", "Casey", "Dana"]
            poor = MediaQuality(
                seq=0, participant_id=boss.participant_id, grade="poor", reason="loss"
            )
            each.session.tell(None, poor, about=boss.participant_id)
            each.ask(boss, trunk, "session.join", way="whisper")
            each.requests.handle(
                boss,
                trunk.connection,
                b'{"type":"media.publish","microphone":true,"camera":false,"screen":false}',
            )
            await each.settle()
            assert agent.last("roster.changed")["roster"][2]["way"] == "whisper"
            assert "media.quality" in agent.types()
            each.disconnect(boss, trunk)
            await each.settle()
        each.ask(each.consumer(), consumer, "media.mode", id="voice", mode="voice")
        each.ask(each.agent, agent, "session.end")
        await each.settle()
        invitation = consumer.heard[0]["invitation"]["invitation_id"]
        text = json.dumps(consumer.heard)
        heard.append(text.replace(each.agent.participant_id, "AGENT").replace(invitation, "I"))
    await other.close()
    assert heard[0] == heard[1]


async def test_the_accept_screen_is_told_when_somebody_may_listen(stage: Stage) -> None:
    _, consumer = await stage.ringing()
    assert consumer.last("session.snapshot")["invitation"]["monitoring"] is True


async def test_by_default_nobody_listens_and_nothing_is_said() -> None:
    stage = Stage()
    _, consumer = await stage.ringing()
    assert consumer.last("session.snapshot")["invitation"]["monitoring"] is False
    await stage.close()


def rights(stage: Stage, person: Person) -> MediaRights:
    found = stage.session.rights(person.participant_id)
    assert found is not None
    return found


async def test_who_is_heard_by_whom(stage: Stage) -> None:
    await stage.talking()
    boss, trunk = await come(stage, Role.SUPERVISOR, Way.MONITOR)
    assert rights(stage, boss) == MediaRights(False, False, False, False, frozenset())
    stage.ask(boss, trunk, "session.join", way="whisper")
    await stage.settle()
    staff = frozenset({stage.agent.participant_id, boss.participant_id})
    assert rights(stage, boss) == MediaRights(True, False, False, False, staff)
    stage.ask(boss, trunk, "session.join", way="join")
    await stage.settle()
    assert rights(stage, boss) == MediaRights(True, True, True, True, None)
    assert rights(stage, stage.consumer()).audience is None
