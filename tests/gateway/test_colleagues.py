"""One agent asks another by name: what the asked agent's widget is told, and what it may answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueAnswer, ColleagueCalled, ColleagueSettled
from broker.words import Role, Way
from gateway.settings import Settings
from tests.gateway.conftest import ENGAGEMENT, Widget, World
from tests.gateway.fake_session import FakeSession

OWN = {**ENGAGEMENT, "rt_session_id": "eng-8", "agent_id": "8", "chatting_agent_id": "acc.8"}


class Desk:
    """A colleague's widget on a conversation of their own, and a session that asks them."""

    def __init__(self, world: World, session: FakeSession, widget: Widget) -> None:
        self.world = world
        self.session = session
        self.widget = widget
        self.answers: list[ColleagueAnswer] = []
        world.ledger.others["colleague.answer"] = self._answer

    def _answer(self, payload: bytes) -> ClusterMessage:
        self.answers.append(ColleagueAnswer.model_validate_json(payload))
        return Done()

    def call(self, asked_by: str = "Alex", session: FakeSession | None = None) -> None:
        location = (session or self.session).location
        for connection_id in self.world.ledger.watches:
            called = ColleagueCalled(
                connection_id=connection_id, location=location, asked_by=asked_by, about="Casey"
            )
            self.world.ledger.notify("colleague.called", called)

    async def answered(self) -> ColleagueAnswer:
        await self.world.ledger.signal.until(lambda: self.answers)
        return self.answers[-1]


@pytest.fixture
async def desk(world: World) -> Desk:
    session = await world.session()
    world.ledger.places["s-1"] = session.location
    widget = await world.agent(token=world.agent_token("8"), engagement=OWN)
    await widget.until("reach.changed")
    await world.ledger.signal.until(lambda: world.ledger.watches)
    return Desk(world, session, widget)


async def test_colleagues_see_agents_and_nobody_else(world: World, desk: Desk) -> None:
    (watch,) = world.ledger.watches.values()
    assert (watch.agent_id, watch.account_id) == ("8", "acc")
    supervisor = await world.agent(token=world.agent_token("9", Role.SUPERVISOR), engagement=OWN)
    await supervisor.until("reach.changed")
    assert sorted(each.agent_id or "" for each in world.ledger.watches.values()) == ["", "8"]


async def test_who_is_asked_joins_to_help_and_the_session_is_told_how(desk: Desk) -> None:
    desk.call()
    told = await desk.widget.until("ways.changed")
    assert (told["ways"], told["asked_by"], told["about"]) == (["consult"], "Alex", "Casey")
    await desk.widget.say(type="session.join", id="1", way="consult")
    assert (await desk.widget.until("request.done"))["reply_to"] == "1"
    await desk.widget.until("session.snapshot")
    assert desk.session.seen[-1].way is Way.CONSULT
    said = await desk.answered()
    assert (said.session_id, said.agent_id, said.comes) == ("s-1", "8", True)


async def test_who_declines_is_asked_no_more_and_the_session_learns_it(desk: Desk) -> None:
    desk.call()
    await desk.widget.until("ways.changed")
    await desk.widget.say(type="colleague.decline", id="1")
    told = await desk.widget.until("ways.changed")
    assert (told["ways"], told["asked_by"]) == ([], None)
    await desk.widget.until("request.done")
    assert not (await desk.answered()).comes
    await desk.widget.say(type="colleague.decline", id="2")
    assert (await desk.widget.until("request.refused"))["code"] == "not_in_session"
    await desk.widget.say(type="session.join", id="3", way="consult")
    assert (await desk.widget.until("request.refused"))["code"] == "not_in_session"
    assert not desk.session.seen


async def test_an_answer_on_another_widget_takes_it_off_this_one(desk: Desk) -> None:
    desk.call()
    await desk.widget.until("ways.changed")
    for session_id in ("s-2", "s-1"):
        (connection_id,) = desk.world.ledger.watches
        settled = ColleagueSettled(connection_id=connection_id, session_id=session_id)
        desk.world.ledger.notify("colleague.settled", settled)
    assert (await desk.widget.until("ways.changed"))["ways"] == []
    assert [each["ways"] for each in desk.widget.got if each["type"] == "ways.changed"] == [
        ["consult"],
        [],
    ]


async def test_nobody_answers_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.connections.ways_in.SHOWN_S", 0.05)
    desk.call()
    assert (await desk.widget.until("ways.changed"))["asked_by"] == "Alex"
    assert (await desk.widget.until("ways.changed"))["asked_by"] is None


async def test_the_first_who_asks_is_shown_and_an_agent_in_a_session_is_not_disturbed(
    world: World, desk: Desk
) -> None:
    other = await world.session("s-2")
    desk.call()
    desk.call("Robin", other)
    assert (await desk.widget.until("ways.changed"))["asked_by"] == "Alex"
    await desk.widget.say(type="session.join", id="1", way="consult")
    await desk.widget.until("session.snapshot")
    desk.call("Robin", other)
    await desk.widget.say(type="connection.ping")
    await desk.widget.until("connection.pong")
    asked = [each["asked_by"] for each in desk.widget.got if each["type"] == "ways.changed"]
    assert asked == ["Alex"]


async def test_who_starts_a_session_of_their_own_has_answered_nobody(
    world: World, desk: Desk
) -> None:
    own = await world.session("s-8")

    async def opened(_: SessionOpen) -> Location:
        return own.location

    world.ledger.on_open = opened
    desk.call()
    await desk.widget.until("ways.changed")
    await desk.widget.say(type="session.start", id="1", mode="video")
    await desk.widget.until("session.snapshot")
    await desk.widget.say(type="connection.ping")
    await desk.widget.until("connection.pong")
    assert desk.answers == []
    assert not desk.session.seen


class TestWithoutColleagues:
    """An account whose agents do not see one another."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        account = replace(settings.accounts["acc"], colleagues=False)
        return replace(settings, accounts={**settings.accounts, "acc": account})

    async def test_nobody_is_listed(self, world: World, desk: Desk) -> None:
        assert [each.agent_id for each in world.ledger.watches.values()] == [None]
