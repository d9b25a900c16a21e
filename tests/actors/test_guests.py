"""Guest links: the name one was made with, and what becomes of one whose time is over."""

from __future__ import annotations

import pytest

from actors.session import guests
from actors.session.person import Person
from broker.commands import InviteGuest, JoinGuest
from broker.messages.cluster.trunk import Principal
from broker.policy import Policy
from broker.words import Role, Surface
from tests.actors.stage import CONSUMER, STRANGER, FakeLedger, Stage, Trunk


@pytest.fixture
def policy() -> Policy:
    return Policy(guest_lobby=False)


async def link(stage: Stage, agent: Trunk, **fields: object) -> str:
    """Make a link as the agent's widget does; returns its id."""
    stage.ask(stage.agent, agent, "guest.invite", **fields)
    await stage.settle()
    return str(agent.last("guest.invited")["guest_invitation_id"])


async def come(stage: Stage, link_id: str, said: str, new_id: str = "p-new") -> Person:
    """Come in by a link, as the actor lets guests in, saying who one is."""
    principal = Principal(role=Role.GUEST, account_id="acc", name=said, guest_invitation_id=link_id)
    person = guests.guest_of(stage.session, principal, new_id)
    stage.session.people[person.participant_id] = person
    stage.session.do(JoinGuest(person.participant_id, link_id), subjects=[person.subject()])
    stage.connect(person, Surface.GUEST_PAGE)
    await stage.settle()
    return person


async def test_a_name_given_with_the_invitation_shows_in_list_roster_and_record(
    stage: Stage,
) -> None:
    agent, _ = await stage.talking()
    link_id = await link(stage, agent, name="Dr Weber")
    [view] = agent.last("guests.changed")["guest_invitations"]
    assert (view["guest_invitation_id"], view["name"]) == (link_id, "Dr Weber")
    assert stage.ledger.subjects[link_id].body == {"role": "guest", "name": "Dr Weber"}
    assert "Weber" not in str([entry.body for entry in stage.ledger.entries])

    await come(stage, link_id, "Your bank")
    names = {each["name"] for each in agent.last("roster.changed")["roster"]}
    assert "Dr Weber" in names
    assert "Your bank" not in names
    # The same row of the record, so that one erasure forgets both.
    assert [s.body["name"] for s in stage.ledger.subjects.values()].count("Dr Weber") == 1


async def test_a_link_for_several_names_those_who_do_not_name_themselves(stage: Stage) -> None:
    agent, _ = await stage.talking()
    link_id = await link(stage, agent, name="Family", uses=3)
    await come(stage, link_id, "Kim", "p-1")
    await come(stage, link_id, "", "p-2")
    await come(stage, link_id, "Jo", "p-3")
    names = [each["name"] for each in agent.last("roster.changed")["roster"]]
    assert names[2:] == ["Kim", "Family", "Jo"]


async def test_a_name_in_an_open_invitation_survives_a_takeover(stage: Stage) -> None:
    agent, _ = await stage.talking()
    link_id = await link(stage, agent, name="Dr Weber")
    successor = Stage(Policy(guest_lobby=False), epoch=2)
    ledger = FakeLedger()
    ledger.entries, ledger.subjects = list(stage.ledger.entries), dict(stage.ledger.subjects)
    successor.now_ms = stage.now_ms
    await successor.take_over(ledger)
    again = successor.connect(successor.agent, Surface.AGENT_FRAME)
    await successor.settle()
    [view] = again.last("session.snapshot")["guest_invitations"]
    assert view["name"] == "Dr Weber"
    person = await come(successor, link_id, "Kim")
    assert person.principal.name == "Dr Weber"
    await successor.close()


async def test_who_was_let_in_and_never_answered_stops_ringing(stage: Stage) -> None:
    await stage.talking()
    life_ms = stage.session.decided.policy.invitation_ms
    admit = InviteGuest(stage.agent.participant_id, "g", STRANGER, 1, life_ms, admitted=True)
    stage.session.do(admit)
    await stage.settle()
    other = Person("p-other", CONSUMER.model_copy(update={"claim_hash": STRANGER}))
    stage.session.people[other.participant_id] = other
    trunk = stage.connect(other, Surface.WINDOW)
    await stage.settle()
    assert trunk.types() == ["session.snapshot"]
    stage.now_ms += life_ms
    stage.session._on_deadline()
    await stage.settle()
    assert trunk.types()[1:] == ["session.left"]
    assert trunk.transport.closes[0]["to_waiting"]


async def test_a_link_whose_time_is_over_is_let_go_and_those_who_invite_are_told(
    stage: Stage,
) -> None:
    agent, consumer = await stage.talking()
    link_id = await link(stage, agent, name="Dr Weber", expires_in_s=60)
    stage.now_ms += 60_000
    stage.session._on_deadline()
    await stage.settle()
    assert agent.last("guests.changed")["guest_invitations"] == []
    assert "guests.changed" not in consumer.types()
    assert stage.ledger.types()[-1] == "guest.expired"
    assert stage.session.decided.guest_links == {}
    assert link_id not in stage.session.people
