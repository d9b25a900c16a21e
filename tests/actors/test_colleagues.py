"""Asking colleagues into a session: who is listed, who may ask, and what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.session.admission import admit
from actors.session.colleagues import ASKED_LIMIT, ASKED_MS, Asking
from actors.session.person import PACE_COUNT, PACE_MS, Person
from broker.commands import JoinStaff
from broker.errors import ErrorCode, NotFound, SwitchboardError
from broker.messages.cluster.base import Done
from broker.messages.cluster.trunk import Principal
from broker.messages.colleagues import (
    Colleague,
    ColleagueCall,
    ColleagueDeclined,
    ColleagueQuery,
    Colleagues,
)
from broker.words import Role, Surface, Way
from tests.actors.stage import IDS, Stage, Trunk, hello_of

CHAT = {"channel": "chat", "visitor_id": "v-here"}


class Desk:
    """The ledger's side: who is there, and who was called."""

    def __init__(self) -> None:
        self.there = {"7": "Alex", "8": "Robin", "9": "Sam"}
        self.calls: list[ColleagueCall] = []
        self.answers = True
        self.waiting: list[Callable[[Any], None]] = []
        """The answers of calls that have none."""

    def __call__(
        self,
        request: Any,
        reply: Any,
        then: Callable[[Any], None],
        refused: Callable[[SwitchboardError], None],
    ) -> None:
        match request:
            case ColleagueQuery():
                there = [Colleague(agent_id=key, name=name) for key, name in self.there.items()]
                then(Colleagues(colleagues=there))
            case ColleagueCall() if request.agent_id in self.there:
                self.calls.append(request)
                if self.answers:
                    then(Done())
                else:
                    self.waiting.append(then)
            case _:
                refused(NotFound(ErrorCode.UNKNOWN_PARTICIPANT, "Not here."))


class Room:
    def __init__(self) -> None:
        self.stage = Stage()
        self.desk = Desk()
        self.stage.session.asking = Asking(self.stage.session, self.desk)
        self.agent: Trunk

    def listed(self) -> dict[str, str]:
        self.stage.ask(self.stage.agent, self.agent, "colleague.list")
        reply = self.agent.last("colleague.listed")
        return {each["name"]: each["asked"] for each in reply["colleagues"]}

    def ask(self, agent_id: str) -> dict[str, Any]:
        request = self.stage.ask(self.stage.agent, self.agent, "colleague.ask", agent_id=agent_id)
        (reply,) = [each for each in self.agent.heard if each.get("reply_to") == request]
        return reply


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    made.agent, _ = await made.stage.talking()
    yield made
    await made.stage.close()


async def test_who_is_there_and_not_in_the_session_is_listed(room: Room) -> None:
    assert room.listed() == {"Robin": "free", "Sam": "free"}
    robin = Person("p-8", Principal(role=Role.AGENT, account_id="acc", agent_id="acc.8"))
    room.stage.session.people["p-8"] = robin
    room.stage.session.do(JoinStaff("p-8", Role.AGENT, way=Way.CONSULT))
    assert room.listed() == {"Sam": "free"}


async def test_who_is_asked_is_told_by_whom_and_about_whom(room: Room) -> None:
    assert room.ask("8")["type"] == "request.done"
    (call,) = room.desk.calls
    assert (call.session_id, call.agent_id) == ("s-1", "8")
    assert (call.asked_by, call.about) == ("Alex", "Casey")
    assert room.listed() == {"Robin": "asked", "Sam": "free"}


async def test_what_became_of_it_is_shown_and_forgotten(room: Room) -> None:
    room.ask("8")
    room.stage.session.asking.on_declined(ColleagueDeclined(session_id="s-1", agent_id="8"))
    # Whoever was not asked declines nothing.
    room.stage.session.asking.on_declined(ColleagueDeclined(session_id="s-1", agent_id="9"))
    assert room.listed() == {"Robin": "declined", "Sam": "free"}
    room.ask("8")
    assert room.listed()["Robin"] == "asked"
    room.stage.now_ms += ASKED_MS
    assert room.listed() == {"Robin": "free", "Sam": "free"}


async def test_who_is_gone_cannot_be_asked(room: Room) -> None:
    assert room.ask("nobody")["code"] == "unknown_participant"
    assert room.listed() == {"Robin": "free", "Sam": "free"}


async def test_only_so_many_are_asked_at_once(room: Room) -> None:
    room.desk.there |= {str(number): f"N{number}" for number in range(20, 30)}
    replies = [room.ask(str(number)) for number in range(20, 20 + ASKED_LIMIT + 1)]
    assert [each["type"] for each in replies] == ["request.done"] * ASKED_LIMIT + [
        "request.refused"
    ]
    assert replies[-1]["code"] == "rate_limited"
    assert len(room.desk.calls) == ASKED_LIMIT


async def test_who_did_not_answer_may_be_asked_again_and_so_may_others(room: Room) -> None:
    room.ask("8")
    room.stage.now_ms += ASKED_MS
    assert room.ask("9")["type"] == "request.done"
    assert room.ask("8")["type"] == "request.done"
    assert room.listed() == {"Robin": "asked", "Sam": "asked"}


async def test_who_has_come_is_asked_no_more(room: Room) -> None:
    room.desk.there |= {str(number): f"N{number}" for number in range(20, 30)}
    for number in range(20, 20 + ASKED_LIMIT):
        room.ask(str(number))
    room.stage.session.people["p-20"] = Person(
        "p-20", Principal(role=Role.AGENT, account_id="acc", agent_id="20")
    )
    room.stage.session.do(JoinStaff("p-20", Role.AGENT, way=Way.CONSULT))
    assert room.ask("8")["type"] == "request.done"


async def test_calls_on_their_way_to_the_ledger_count(room: Room) -> None:
    room.desk.answers = False
    room.desk.there |= {str(number): f"N{number}" for number in range(20, 30)}
    for number in range(20, 20 + 2 * ASKED_LIMIT):
        room.stage.ask(room.stage.agent, room.agent, "colleague.ask", agent_id=str(number))
    assert len(room.desk.calls) == ASKED_LIMIT
    assert room.agent.last("request.refused")["code"] == "rate_limited"


async def test_who_looks_without_end_does_not_reach_the_ledger(room: Room) -> None:
    for _ in range(3 * PACE_COUNT):
        room.stage.ask(room.stage.agent, room.agent, "colleague.list")
    assert room.agent.types().count("colleague.listed") == PACE_COUNT
    assert room.agent.last("request.refused")["code"] == "rate_limited"
    room.stage.now_ms += PACE_MS
    assert room.listed() == {"Robin": "free", "Sam": "free"}


@pytest.mark.parametrize("kind", ["colleague.list", "colleague.ask"])
async def test_a_consumer_learns_of_no_colleague(room: Room, kind: str) -> None:
    consumer = room.stage.connect(room.stage.consumer(), room.agent.connection.surface)
    fields = {"agent_id": "8"} if kind == "colleague.ask" else {}
    room.stage.ask(room.stage.consumer(), consumer, kind, **fields)
    assert consumer.last("request.refused")["code"] == "not_permitted"
    assert not room.desk.calls


async def test_who_comes_from_another_conversation_brings_nothing_of_it(room: Room) -> None:
    """Nor does a visitor id that is another consumer's warn of this one."""
    stage = room.stage
    stage.session.checkpoints.engagement_changed(stage.consumer(), IDS.model_copy(update=CHAT))
    own = {**CHAT, "rt_session_id": "another", "agent_id": "8", "visitor_id": "v-elsewhere"}
    principal = Principal(role=Role.AGENT, account_id="acc", agent_id="8", name="Robin")
    hello = hello_of(principal, way=Way.CONSULT, engagement=IDS.model_copy(update=own))
    came: list[Person] = []
    admit(stage.session, hello, came.append)
    await stage.settle()
    (robin,) = came
    kept = str(stage.ledger.subjects[robin.participant_id].body)
    assert "another" in kept
    assert "v-elsewhere" not in kept
    for type_ in ("participant.admit", "session.hand_over"):
        stage.ask(stage.agent, room.agent, type_, participant_id=robin.participant_id)
    await stage.settle()
    assert stage.session.durable.owner_id == robin.participant_id
    roster = room.agent.last("roster.changed")["roster"]
    assert [each["visitor_differs"] for each in roster] == [False] * 3


async def test_an_answer_that_comes_late_is_heard_by_the_widget_that_came_back(room: Room) -> None:
    """It has asked again meanwhile, and is not answered twice."""
    stage, person, gone = room.stage, room.stage.agent, room.agent
    room.desk.answers = False
    asked = stage.ask(person, gone, "colleague.ask", agent_id="8")
    stage.disconnect(person, gone)
    back = stage.connect(
        person,
        Surface.AGENT_FRAME,
        last_seq=gone.heard[-1]["seq"],
        widget_id=gone.connection.widget_id,
    )
    await stage.settle()
    stage.ask(person, back, "colleague.ask", id=asked, agent_id="8")
    (answer,) = room.desk.waiting
    answer(Done())
    assert [each["type"] for each in back.heard if each.get("reply_to") == asked] == [
        "request.done"
    ]
